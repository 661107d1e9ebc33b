#include "ops/residual_add.h"

#include <gtest/gtest.h>

#include "conformance.h"

namespace dolly4j::test {
namespace {

TEST(ResidualAdd, addsOneOutput) {
  std::vector<float> h = {1, 2, 3};
  const std::vector<float> a = {10, -20, 0.5F};
  residual_add_oracle({h.data(), a.data(), nullptr, 3});
  EXPECT_EQ(h, (std::vector<float>{11, -18, 3.5F}));
}

TEST(ResidualAdd, addsTheTwoOutputsToEachOtherFirst) {
  // In float32 2^24 + 1 is 2^24, so only (1 + 1) first gives 2^24 + 2.
  std::vector<float> h = {0x1p24F, 5};
  const std::vector<float> a = {1, 6};
  const std::vector<float> b = {1, 7};
  residual_add_oracle({h.data(), a.data(), b.data(), 2});
  EXPECT_EQ(h, (std::vector<float>{0x1p24F + 2, 18}));
}

TEST(ResidualAddCases, oracleWritesEveryNumber) {
  const Conformance result = check_residual_add(residual_add_oracle, Device::cpu);
  EXPECT_TRUE(result.passed()) << result;
}

TEST(ResidualAddCases, rejectAnotherOrder) {
  const Conformance result = check_residual_add(
      [](const ResidualAddArgs& args) {
        for (std::int64_t i = 0; i < args.count; i++) {
          args.h[i] = args.h[i] + args.a[i] + (args.b == nullptr ? 0 : args.b[i]);
        }
      },
      Device::cpu);
  EXPECT_FALSE(result.passed());
}

}  // namespace
}  // namespace dolly4j::test
