// Puts an implementation of an op through the cases of op_cases.h and compares it with the op's oracle.
//
//   const Conformance result = check_linear(my_linear, Device::cpu, [](const LinearShape& s) { return !s.bias; });
//   EXPECT_TRUE(result.passed()) << result;
//
// An implementation is any callable that takes the op's Args, whose pointers are those of the host: one that runs on
// another device copies them there and back. Shapes it does not support are left out by the last argument and counted.
#pragma once

#include <functional>
#include <iosfwd>
#include <string>
#include <vector>

#include "op_cases.h"
#include "tolerance.h"

namespace dolly4j::test {

struct Conformance {
  int cases = 0;
  int left_out = 0;
  std::vector<std::string> failures;  // one line per case that failed
  double worst = 0;                   // largest difference met, as a share of what is allowed
  std::string worst_case;

  // False also if every case was left out.
  bool passed() const { return cases > 0 && failures.empty(); }
};
std::ostream& operator<<(std::ostream& stream, const Conformance& result);

template <class Args>
using Implementation = std::function<void(const Args&)>;

template <class Shape>
using Supports = std::function<bool(const Shape&)>;

Conformance check_embedding(const Implementation<EmbeddingArgs>& implementation, Device device,
                            const Supports<EmbeddingShape>& supports = nullptr);
Conformance check_layer_norm(const Implementation<LayerNormArgs>& implementation, Device device,
                             const Supports<LayerNormShape>& supports = nullptr);
Conformance check_linear(const Implementation<LinearArgs>& implementation, Device device,
                         const Supports<LinearShape>& supports = nullptr);
Conformance check_gelu(const Implementation<GeluArgs>& implementation, Device device,
                       const Supports<GeluShape>& supports = nullptr);
Conformance check_rotary(const Implementation<RotaryArgs>& implementation, Device device,
                         const Supports<RotaryShape>& supports = nullptr);
Conformance check_kv_append(const Implementation<KvAppendArgs>& implementation, Device device,
                            const Supports<KvAppendShape>& supports = nullptr);
Conformance check_paged_attention(const Implementation<PagedAttentionArgs>& implementation, Device device,
                                  const Supports<PagedAttentionShape>& supports = nullptr);
Conformance check_residual_add(const Implementation<ResidualAddArgs>& implementation, Device device,
                               const Supports<ResidualAddShape>& supports = nullptr);

}  // namespace dolly4j::test
