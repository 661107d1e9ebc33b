#include "ops/gelu.h"

#include <gtest/gtest.h>

#include <cmath>

#include "conformance.h"

namespace dolly4j::test {
namespace {

std::vector<float> gelu(const std::vector<float>& x, GeluForm form) {
  std::vector<float> y(x.size(), std::nanf(""));
  gelu_oracle({x.data(), y.data(), static_cast<std::int64_t>(x.size()), form});
  return y;
}

std::vector<float> grid() {
  std::vector<float> numbers;
  for (int i = -700; i <= 700; i++) {
    numbers.push_back(static_cast<float>(i) / 100);
  }
  return numbers;
}

// The normal distribution function by Simpson's rule from 0.
double normal_distribution(double x) {
  const int steps = 2000;
  const double width = x / steps;
  const auto density = [](double t) { return std::exp(-t * t / 2) / std::sqrt(2 * std::acos(-1.0)); };
  double sum = density(0) + density(x);
  for (int i = 1; i < steps; i++) {
    sum += density(i * width) * (i % 2 == 0 ? 2 : 4);
  }
  return 0.5 + sum * width / 3;
}

TEST(Gelu, erfFormIsXTimesTheNormalDistribution) {
  const std::vector<float> x = grid();
  const std::vector<float> y = gelu(x, GeluForm::erf);
  for (std::size_t i = 0; i < x.size(); i++) {
    EXPECT_NEAR(y[i], x[i] * normal_distribution(x[i]), 3e-7 * std::abs(static_cast<double>(x[i]))) << x[i];
  }
}

TEST(Gelu, tanhFormIsXTimesTheLogisticFunctionOfTwiceTheCubic) {
  const std::vector<float> x = grid();
  const std::vector<float> y = gelu(x, GeluForm::tanh);
  for (std::size_t i = 0; i < x.size(); i++) {
    const double v = x[i];
    const double cubic = 0.7978845608028654 * v * (1 + 0.044715 * v * v);
    EXPECT_NEAR(y[i], v / (1 + std::exp(-2 * cubic)), 3e-7 * std::abs(v)) << v;
  }
}

TEST(Gelu, formsAgreeWithPublishedValuesAndDifferAsTheyShould) {
  // torch.nn.functional.gelu(1.0) and the same with approximate="tanh".
  EXPECT_NEAR(gelu({1}, GeluForm::erf)[0], 0.8413447, 1e-7);
  EXPECT_NEAR(gelu({1}, GeluForm::tanh)[0], 0.8411920, 1e-7);
}

TEST(Gelu, valueMinusValueOfTheNegativeIsTheNumberItself) {
  for (GeluForm form : {GeluForm::erf, GeluForm::tanh}) {
    for (float x : {0.1F, 0.7F, 2.5F, 6.0F}) {
      const std::vector<float> y = gelu({x, -x}, form);
      EXPECT_NEAR(y[0] - y[1], x, 5e-7);
    }
  }
}

TEST(Gelu, isZeroFarBelowAndTheNumberItselfFarAbove) {
  for (GeluForm form : {GeluForm::erf, GeluForm::tanh}) {
    const std::vector<float> y = gelu({-300, -0.0F, 0, 300}, form);
    EXPECT_EQ(y, (std::vector<float>{0, 0, 0, 300}));
  }
}

// In float32 all the way, as a kernel would.
void float32_gelu(const GeluArgs& args) {
  for (std::int64_t i = 0; i < args.count; i++) {
    const float x = args.x[i];
    const float cubic = 0.79788456F * (x + 0.044715F * x * x * x);
    args.y.set(i, 0.5F * x * (1 + (args.form == GeluForm::erf ? std::erf(x * 0.70710678F) : std::tanh(cubic))));
  }
}

TEST(GeluCases, acceptFloat32) {
  const Conformance result = check_gelu(float32_gelu, Device::cpu);
  EXPECT_TRUE(result.passed()) << result;
}

TEST(GeluCases, rejectTheOtherForm) {
  const Conformance result = check_gelu(
      [](const GeluArgs& args) {
        GeluArgs wrong = args;
        wrong.form = args.form == GeluForm::erf ? GeluForm::tanh : GeluForm::erf;
        gelu_oracle(wrong);
      },
      Device::cpu, [](const GeluShape& shape) { return shape.count >= 60; });
  EXPECT_EQ(static_cast<int>(result.failures.size()), result.cases) << result;
}

TEST(GeluCases, rejectTheLogisticApproximation) {
  const Conformance result = check_gelu(
      [](const GeluArgs& args) {
        for (std::int64_t i = 0; i < args.count; i++) {
          args.y.set(i, args.x[i] / (1 + std::exp(-1.702F * args.x[i])));
        }
      },
      Device::cpu, [](const GeluShape& shape) { return shape.count >= 60; });
  EXPECT_EQ(static_cast<int>(result.failures.size()), result.cases) << result;
}

}  // namespace
}  // namespace dolly4j::test
