// Tests that run once for every instruction set the kernels are written for; skipped where this CPU lacks it.
//
//   using MyKernel = EachIsa;
//   TEST_P(MyKernel, doesWhatItShould) { my_kernel(GetParam())(args); }
//   INSTANTIATE_TEST_SUITE_P(, MyKernel, kEveryIsa, isa_name);
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "cpu/isa.h"

namespace dolly4j::test {

class EachIsa : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    const std::vector<Isa>& available = available_isas();
    if (std::find(available.begin(), available.end(), GetParam()) == available.end()) {
      GTEST_SKIP() << "this CPU does not have " << name_of(GetParam());
    }
  }
};

inline const auto kEveryIsa = testing::Values(Isa::generic, Isa::avx2, Isa::avx512, Isa::avx512_bf16, Isa::amx);

inline std::string isa_name(const testing::TestParamInfo<Isa>& info) { return name_of(info.param); }

}  // namespace dolly4j::test
