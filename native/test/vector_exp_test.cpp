#include <gtest/gtest.h>

#include <cmath>

#include "cpu/vector_generic.h"
#include "cpu/vector_math.h"

namespace dolly4j::test {
namespace {

float exp_of(float x) { return VectorMath<Generic>::exp(Generic::set(x)).lane[7]; }

// In units of the last place of the float32 that the result should round to.
double error(float actual, double expected) {
  int exponent;
  std::frexp(expected, &exponent);
  return std::abs(static_cast<double>(actual) - expected) / std::ldexp(1, exponent - 24);
}

TEST(VectorExp, isWithinTheStatedErrorOfTheTrueValue) {
  double worst = 0;
  float worst_at = 0;
  const auto check = [&](Generic::F x) {
    const Generic::F y = VectorMath<Generic>::exp(x);
    for (int i = 0; i < Generic::kLanes; i++) {
      const double e = error(y.lane[i], std::exp(static_cast<double>(x.lane[i])));
      if (!(e <= worst)) {
        worst = e;
        worst_at = x.lane[i];
      }
    }
  };
  // Evenly over the whole range, and ever denser towards 0, where most scores are.
  constexpr int kSteps = 1 << 20;
  for (int step = 0; step < kSteps; step += Generic::kLanes) {
    check(Generic::each([&](int i) { return -87.33F + 175.33F * static_cast<float>(step + i) / kSteps; }));
    check(Generic::each([&](int i) { return -87.0F * std::exp2(-40.0F * static_cast<float>(step + i) / kSteps); }));
  }
  EXPECT_LE(worst, 1) << "at " << worst_at;
}

TEST(VectorExp, ofTheExtremes) {
  EXPECT_EQ(exp_of(0), 1);
  EXPECT_EQ(exp_of(-0.0F), 1);
  EXPECT_EQ(exp_of(-87.34F), 0);
  EXPECT_EQ(exp_of(-1e30F), 0);
  EXPECT_EQ(exp_of(-HUGE_VALF), 0);
  EXPECT_TRUE(std::isnan(exp_of(std::nanf(""))));
  EXPECT_TRUE(std::isfinite(exp_of(88)));
}

}  // namespace
}  // namespace dolly4j::test
