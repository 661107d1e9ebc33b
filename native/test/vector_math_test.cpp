#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <limits>

#include "conformance.h"
#include "cpu/flush_denormals.h"
#include "every_isa.h"
#include "random.h"
#include "vector/vector_functions.h"

namespace dolly4j::test {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

using Function = std::function<void(const float* x, float* y)>;

// 16 numbers each: random ones of every exponent and sign.
void for_each_exponent(int exponents_from, int exponents_to, const std::function<void(const float* x)>& visit) {
  constexpr int kVectorsPerExponent = 256;
  Random random(1);
  for (int exponent = exponents_from; exponent <= exponents_to; exponent++) {
    for (int i = 0; i < kVectorsPerExponent; i++) {
      float x[kVectorLanes];
      for (float& number : x) {
        const double fraction = 1 + static_cast<double>(random.below(1 << 23)) * 0x1p-23;
        number = static_cast<float>(std::ldexp(random.below(2) == 0 ? fraction : -fraction, exponent));
      }
      visit(x);
    }
  }
}

// Largest of error(x, y) over the vectors.
struct Worst {
  double error = 0;
  double at = 0;

  // Written so that a NaN counts as worst.
  void see(double found, double x) {
    if (!(found <= error)) {
      error = found;
      at = x;
    }
  }
};

double erf_form(double x) { return x / 2 * std::erfc(-x / std::sqrt(2.0)); }
double tanh_form(double x) {
  return x / (1 + std::exp(-2 * std::sqrt(2 / std::acos(-1.0)) * (x + 0.044715 * x * x * x)));
}

Function gelu(Isa isa, GeluForm form) {
  return [=](const float* x, float* y) { vector_functions(isa).gelu(form, x, y); };
}

TEST(VectorExp, isWithinOneUnitOfTheLastPlace) {
  Worst worst;
  const auto visit = [&](const float* x) {
    float y[kVectorLanes];
    vector_functions(Isa::generic).exp(x, y);
    for (int i = 0; i < kVectorLanes; i++) {
      const double expected = std::exp(static_cast<double>(x[i]));
      if (x[i] <= 88 && x[i] >= -87.33F) {
        const double last_place = std::ldexp(1.0, std::ilogb(expected) - 23);
        worst.see(std::abs(y[i] - expected) / last_place, x[i]);
      }
    }
  };
  for_each_exponent(-126, 6, visit);
  constexpr int kSteps = 1 << 20;
  for (int step = 0; step < kSteps; step += kVectorLanes) {
    float x[kVectorLanes];
    for (int i = 0; i < kVectorLanes; i++) {
      x[i] = -87.33F + 175.33F * static_cast<float>(step + i) / kSteps;
    }
    visit(x);
  }
  EXPECT_LE(worst.error, 1) << "at " << worst.at;
}

TEST(VectorExp, isZeroWhereTheResultWouldBeNoNormalNumberAndKeepsNaNs) {
  const float x[kVectorLanes] = {-87.34F, -88, -104, -1000, -3e38F, -kInfinity, 0, -0.0F, NAN, -NAN, 88};
  float y[kVectorLanes];
  vector_functions(Isa::generic).exp(x, y);
  for (int i = 0; i < 6; i++) {
    EXPECT_EQ(y[i], 0) << x[i];
  }
  EXPECT_EQ(y[6], 1);
  EXPECT_EQ(y[7], 1);
  EXPECT_TRUE(std::isnan(y[8]));
  EXPECT_TRUE(std::isnan(y[9]));
  EXPECT_TRUE(std::isfinite(y[10]));
}

// As vector_gelu.h says.
struct GeluAccuracy {
  GeluForm form;
  double (*exact)(double x);
  double of_number;  // error, as a share of |x|
  double of_result;  // and of the result, for x from `from` on
  float from;
};

TEST(VectorGelu, isAsNearToTheFormulaAsItSays) {
  for (const GeluAccuracy& accuracy : {GeluAccuracy{GeluForm::erf, erf_form, 1.5e-7, 4e-7, -13.1F},
                                       GeluAccuracy{GeluForm::tanh, tanh_form, 1.1e-7, 6e-6, -8}}) {
    Worst of_number;
    Worst of_result;
    const auto visit = [&](const float* x) {
      float y[kVectorLanes];
      vector_functions(Isa::generic).gelu(accuracy.form, x, y);
      for (int i = 0; i < kVectorLanes; i++) {
        const double expected = accuracy.exact(x[i]);
        const double error = std::abs(y[i] - expected);
        of_number.see(error / std::abs(static_cast<double>(x[i])), x[i]);
        if (x[i] >= accuracy.from) {
          of_result.see(error / std::abs(expected), x[i]);
        }
      }
    };
    for_each_exponent(-125, 127, visit);
    // Where results are neither 0 nor x, densely.
    for (int n = -(16 << 14); n < 16 << 14; n += kVectorLanes) {
      float x[kVectorLanes];
      for (int i = 0; i < kVectorLanes; i++) {
        x[i] = static_cast<float>(n + i) * 0x1p-14F + 0x1p-15F;
      }
      visit(x);
    }
    EXPECT_LE(of_number.error, accuracy.of_number) << "at " << of_number.at;
    EXPECT_LE(of_result.error, accuracy.of_result) << "at " << of_result.at;
  }
}

TEST(VectorGelu, keepsZerosAndNaNsAndHasTheLimitsOfInfinities) {
  for (const GeluForm form : {GeluForm::erf, GeluForm::tanh}) {
    const float x[kVectorLanes] = {0.0F,  -0.0F,  kInfinity, -kInfinity, 3e38F,    -3e38F,
                                   20.0F, -20.0F, NAN,       -NAN,       0x1p-149F};
    float y[kVectorLanes];
    vector_functions(Isa::generic).gelu(form, x, y);
    EXPECT_EQ(y[0], 0);
    EXPECT_FALSE(std::signbit(y[0]));
    EXPECT_EQ(y[1], 0);
    EXPECT_TRUE(std::signbit(y[1]));
    EXPECT_EQ(y[2], kInfinity);
    EXPECT_EQ(y[3], 0);
    EXPECT_EQ(y[4], 3e38F);
    EXPECT_EQ(y[5], 0);
    EXPECT_EQ(y[6], 20);
    EXPECT_EQ(y[7], 0);
    EXPECT_TRUE(std::isnan(y[8]));
    EXPECT_TRUE(std::isnan(y[9]));
    EXPECT_LE(y[10], 0x1p-149F);
  }
}

// Loops over any count by vectors of 16.
Conformance check(Isa isa) {
  return check_gelu(
      [&](const GeluArgs& args) {
        for (std::int64_t first = 0; first < args.count; first += kVectorLanes) {
          const auto count = static_cast<int>(std::min<std::int64_t>(kVectorLanes, args.count - first));
          float x[kVectorLanes] = {};
          float y[kVectorLanes];
          std::copy(args.x + first, args.x + first + count, x);
          gelu(isa, args.form)(x, y);
          for (int i = 0; i < count; i++) {
            args.y.set(first + i, y[i]);
          }
        }
      },
      Device::cpu);
}

using VectorMathOf = EveryIsa;
INSTANTIATE_TEST_SUITE_P(Isas, VectorMathOf, every_isa(), isa_name);

TEST_P(VectorMathOf, geluPassesTheCasesOfTheOp) {
  const Conformance result = check(GetParam());
  EXPECT_TRUE(result.passed()) << result;
}

TEST_P(VectorMathOf, expAndGeluHaveTheBitsOfGeneric) {
  const FlushDenormals flush;
  const auto compare = [&](const char* what, const Function& actual, const Function& expected, const float* x) {
    float y[kVectorLanes];
    float z[kVectorLanes];
    actual(x, y);
    expected(x, z);
    ASSERT_EQ(std::memcmp(y, z, sizeof y), 0) << what << " of the vector from " << x[0];
  };
  for_each_exponent(-126, 127, [&](const float* x) {
    compare("erf form", gelu(GetParam(), GeluForm::erf), gelu(Isa::generic, GeluForm::erf), x);
    compare("tanh form", gelu(GetParam(), GeluForm::tanh), gelu(Isa::generic, GeluForm::tanh), x);
    if (std::abs(x[0]) < 0x1p6F) {
      compare("exp", vector_functions(GetParam()).exp, vector_functions(Isa::generic).exp, x);
    }
  });
}

}  // namespace
}  // namespace dolly4j::test
