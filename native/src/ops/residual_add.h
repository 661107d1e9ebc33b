// h[i] = h[i] + (a[i] + b[i])          or h[i] + a[i] without b
//
//   h, a, b  [count]  float32; b null for none
//
// Two float32 additions in this order (one without b), so the bits are fixed. With b: the parallel residual, where a is
// the feed-forward's output and b the attention's.
#pragma once

#include <cstdint>

namespace dolly4j {

struct ResidualAddArgs {
  float* h;
  const float* a;
  const float* b;
  std::int64_t count;
};

void residual_add_oracle(const ResidualAddArgs& args);

}  // namespace dolly4j
