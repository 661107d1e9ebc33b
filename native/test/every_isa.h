// Instruction sets in tests: which of them this CPU has, one of them forced, and tests that run once for each, skipped
// where this CPU does not have it:
//
//   TEST_P(Something, holds) { ... something(GetParam()) ... }
//   INSTANTIATE_TEST_SUITE_P(Isas, Something, every_isa(), isa_name);      with using Something = EveryIsa
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "cpu/isa.h"

namespace dolly4j::test {

constexpr Isa kEveryIsa[] = {Isa::generic, Isa::avx2, Isa::avx512, Isa::avx512_bf16, Isa::amx};

inline bool is_available(Isa isa) {
  const std::vector<Isa>& isas = available_isas();
  return std::find(isas.begin(), isas.end(), isa) != isas.end();
}

// For SetUp.
inline void skip_unless_available(Isa isa) {
  if (!is_available(isa)) {
    GTEST_SKIP() << "this CPU does not have " << name_of(isa);
  }
}

class EveryIsa : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override { skip_unless_available(GetParam()); }
};

inline auto every_isa() { return testing::ValuesIn(kEveryIsa); }

inline std::string isa_name(const testing::TestParamInfo<Isa>& info) { return name_of(info.param); }

// Sets DOLLY4J_ISA, or unsets it for null, until the end of the scope.
class ForcedIsa {
 public:
  explicit ForcedIsa(const char* value) {
    if (const char* before = std::getenv(kVariable)) {
      before_ = before;
    }
    set(value);
  }
  explicit ForcedIsa(Isa isa) : ForcedIsa(name_of(isa)) {}
  ForcedIsa(const ForcedIsa&) = delete;
  ForcedIsa& operator=(const ForcedIsa&) = delete;
  ~ForcedIsa() { set(before_ ? before_->c_str() : nullptr); }

 private:
  static constexpr const char* kVariable = "DOLLY4J_ISA";

  static void set(const char* value) {
    if (value == nullptr) {
      unsetenv(kVariable);
    } else {
      setenv(kVariable, value, 1);
    }
  }

  std::optional<std::string> before_;
};

}  // namespace dolly4j::test
