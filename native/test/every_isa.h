// Tests that run once for every instruction set, skipped where this CPU does not have it:
//
//   TEST_P(Something, holds) { ... something(GetParam()) ... }
//   INSTANTIATE_TEST_SUITE_P(Isas, Something, every_isa(), isa_name);      with using Something = EveryIsa
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "cpu/isa.h"

namespace dolly4j::test {

class EveryIsa : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    const std::vector<Isa>& isas = available_isas();
    if (std::find(isas.begin(), isas.end(), GetParam()) == isas.end()) {
      GTEST_SKIP() << "this CPU does not have " << name_of(GetParam());
    }
  }
};

inline auto every_isa() { return testing::Values(Isa::generic, Isa::avx2, Isa::avx512, Isa::avx512_bf16, Isa::amx); }

inline std::string isa_name(const testing::TestParamInfo<Isa>& info) { return name_of(info.param); }

}  // namespace dolly4j::test
