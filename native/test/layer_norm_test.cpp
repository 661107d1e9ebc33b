#include "ops/layer_norm.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "conformance.h"
#include "random.h"

namespace dolly4j::test {
namespace {

std::vector<float> norm(const std::vector<float>& x, const std::vector<float>& gamma, const std::vector<float>& beta,
                        float epsilon) {
  std::vector<float> y(x.size(), std::nanf(""));
  const LayerNormOutput output{gamma.data(), beta.data(), y.data()};
  const int hidden = static_cast<int>(gamma.size());
  layer_norm_oracle({x.data(), &output, 1, static_cast<int>(x.size()) / hidden, hidden, epsilon});
  return y;
}

std::vector<float> filled(int count, float value) { return std::vector<float>(count, value); }

TEST(LayerNorm, twoNumbersBecomePlusAndMinusTheirShareOfTheDeviation) {
  // x = (m - a, m + a): mean m, variance a^2.
  const std::vector<float> y = norm({2, 8}, {1, 10}, {0, 5}, 7);
  EXPECT_NEAR(y[0], -3.0 / 4, 1e-7);
  EXPECT_NEAR(y[1], 10 * 3.0 / 4 + 5, 1e-6);
}

TEST(LayerNorm, rowsHaveMeanBetaAndDeviationGamma) {
  for (int hidden : {16, 60, 321, 2560}) {
    const int rows = 7;
    const std::vector<float> x = Random(hidden).normals(std::int64_t{rows} * hidden, 3, 5);
    const std::vector<float> y = norm(x, filled(hidden, 1.5F), filled(hidden, -0.25F), 1e-5F);
    for (int t = 0; t < rows; t++) {
      double sum = 0;
      double squares = 0;
      for (int i = 0; i < hidden; i++) {
        const double number = y[t * hidden + i];
        sum += number;
        squares += (number + 0.25) * (number + 0.25);
      }
      EXPECT_NEAR(sum / hidden, -0.25, 1e-6) << hidden;
      EXPECT_NEAR(std::sqrt(squares / hidden), 1.5, 1e-5) << hidden;
    }
  }
}

TEST(LayerNorm, shiftAndScaleOfARowChangeNothingWhenEpsilonIsZero) {
  const int hidden = 60;
  std::vector<float> x = Random(1).normals(hidden);
  const std::vector<float> gamma = Random(2).normals(hidden);
  const std::vector<float> beta = Random(3).normals(hidden);
  const std::vector<float> y = norm(x, gamma, beta, 0);
  for (float& number : x) {
    number = 4 * number + 64;
  }
  const std::vector<float> moved = norm(x, gamma, beta, 0);
  for (int i = 0; i < hidden; i++) {
    EXPECT_NEAR(moved[i], y[i], 1e-5);
  }
}

TEST(LayerNorm, aRowOfEqualNumbersBecomesBeta) {
  const std::vector<float> beta = {0.5F, -1, 2};
  EXPECT_EQ(norm({7, 7, 7}, {1, 2, 3}, beta, 1e-5F), beta);
}

TEST(LayerNorm, aRowDependsOnNoOther) {
  const int hidden = 60;
  const std::vector<float> x = Random(4).normals(3 * hidden);
  const std::vector<float> gamma = Random(5).normals(hidden);
  const std::vector<float> beta = Random(6).normals(hidden);
  const std::vector<float> together = norm(x, gamma, beta, 1e-5F);
  for (int t = 0; t < 3; t++) {
    const auto row = x.begin() + t * hidden;
    const std::vector<float> alone = norm({row, row + hidden}, gamma, beta, 1e-5F);
    EXPECT_TRUE(std::equal(alone.begin(), alone.end(), together.begin() + t * hidden));
  }
}

TEST(LayerNorm, twoNormsOfOneRowAreThoseOfEachAlone_bfloat16IsTheFloat32Rounded) {
  const int hidden = 60;
  const std::vector<float> x = Random(7).normals(2 * hidden);
  const std::vector<float> gamma[] = {Random(8).normals(hidden), Random(9).normals(hidden)};
  const std::vector<float> beta[] = {Random(10).normals(hidden), Random(11).normals(hidden)};
  std::vector<float> first(2 * hidden);
  std::vector<bfloat16> second(2 * hidden);
  const LayerNormOutput norms[] = {{gamma[0].data(), beta[0].data(), first.data()},
                                   {gamma[1].data(), beta[1].data(), second.data()}};
  layer_norm_oracle({x.data(), norms, 2, 2, hidden, 1e-5F});
  EXPECT_EQ(first, norm(x, gamma[0], beta[0], 1e-5F));
  const std::vector<float> expected = norm(x, gamma[1], beta[1], 1e-5F);
  for (int i = 0; i < 2 * hidden; i++) {
    EXPECT_EQ(second[i].bits, to_bfloat16(expected[i]).bits) << i;
  }
}

// A float32 LayerNorm by the given way of getting variance and divisor.
struct Moments {
  float mean;
  float divisor;
};
using MomentsOf = std::function<Moments(const float* row, int hidden, float epsilon)>;

void float32_norm(const LayerNormArgs& args, const MomentsOf& moments_of) {
  for (int t = 0; t < args.rows; t++) {
    const std::int64_t row = std::int64_t{t} * args.hidden_size;
    const Moments moments = moments_of(args.x + row, args.hidden_size, args.epsilon);
    for (int n = 0; n < args.norm_count; n++) {
      const LayerNormOutput& norm = args.norms[n];
      for (int i = 0; i < args.hidden_size; i++) {
        norm.y.set(row + i, (args.x[row + i] - moments.mean) / moments.divisor * norm.gamma[i] + norm.beta[i]);
      }
    }
  }
}

Conformance check(const MomentsOf& moments_of) {
  return check_layer_norm([&](const LayerNormArgs& args) { float32_norm(args, moments_of); }, Device::cpu);
}

// In 16 lanes, as a vector unit adds.
template <class Term>
float float32_sum(int count, const Term& term) {
  float lanes[16] = {};
  for (int i = 0; i < count; i++) {
    lanes[i % 16] += term(i);
  }
  float sum = 0;
  for (float lane : lanes) {
    sum += lane;
  }
  return sum;
}

float mean_of(const float* row, int hidden) {
  return float32_sum(hidden, [&](int i) { return row[i]; }) / static_cast<float>(hidden);
}

float squares_of(const float* row, int hidden, float mean) {
  return float32_sum(hidden, [&](int i) { return (row[i] - mean) * (row[i] - mean); });
}

TEST(LayerNormCases, acceptFloat32SumsOfDifferencesToTheMean) {
  const Conformance result = check([](const float* row, int hidden, float epsilon) {
    const float mean = mean_of(row, hidden);
    return Moments{mean, std::sqrt(squares_of(row, hidden, mean) / static_cast<float>(hidden) + epsilon)};
  });
  EXPECT_TRUE(result.passed()) << result;
}

TEST(LayerNormCases, rejectTheVarianceAsDifferenceOfTwoLargeNumbers) {
  const Conformance result = check([](const float* row, int hidden, float epsilon) {
    const float mean = mean_of(row, hidden);
    const float variance = squares_of(row, hidden, 0) / static_cast<float>(hidden) - mean * mean;
    return Moments{mean, std::sqrt(variance + epsilon)};
  });
  EXPECT_FALSE(result.passed());
}

TEST(LayerNormCases, rejectTheVarianceOfASample) {
  const Conformance result = check([](const float* row, int hidden, float epsilon) {
    const float mean = mean_of(row, hidden);
    const float degrees = hidden == 1 ? 1 : static_cast<float>(hidden - 1);
    return Moments{mean, std::sqrt(squares_of(row, hidden, mean) / degrees + epsilon)};
  });
  EXPECT_FALSE(result.passed());
}

TEST(LayerNormCases, rejectEpsilonOutsideTheRoot) {
  const Conformance result = check([](const float* row, int hidden, float epsilon) {
    const float mean = mean_of(row, hidden);
    return Moments{mean, std::sqrt(squares_of(row, hidden, mean) / static_cast<float>(hidden)) + epsilon};
  });
  EXPECT_FALSE(result.passed());
}

TEST(LayerNormCases, rejectTruncationToBfloat16) {
  const Conformance result = check_layer_norm(
      [](const LayerNormArgs& args) {
        const std::int64_t count = std::int64_t{args.rows} * args.hidden_size;
        for (int n = 0; n < args.norm_count; n++) {
          Buffer wide(count, DType::float32);
          const LayerNormOutput output{args.norms[n].gamma, args.norms[n].beta, wide.output()};
          LayerNormArgs one = args;
          one.norms = &output;
          one.norm_count = 1;
          layer_norm_oracle(one);
          for (std::int64_t i = 0; i < count; i++) {
            const float number = wide.at(i);
            std::uint32_t bits;
            std::memcpy(&bits, &number, sizeof bits);
            static_cast<bfloat16*>(args.norms[n].y.data)[i] = {static_cast<std::uint16_t>(bits >> 16)};
          }
        }
      },
      Device::cpu, [](const LayerNormShape& shape) { return shape.y == DType::bfloat16; });
  EXPECT_FALSE(result.passed());
}

}  // namespace
}  // namespace dolly4j::test
