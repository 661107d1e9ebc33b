#include "ops/linear.h"

#include <gtest/gtest.h>

#include <cmath>

#include "conformance.h"
#include "random.h"

namespace dolly4j::test {
namespace {

// Whole numbers from -8 to 8: exact in bfloat16, and every sum of their products in float32.
std::vector<float> whole_numbers(std::int64_t count, std::uint64_t seed) {
  Random random(seed);
  std::vector<float> numbers;
  for (std::int64_t i = 0; i < count; i++) {
    numbers.push_back(static_cast<float>(random.below(17) - 8));
  }
  return numbers;
}

TEST(Linear, unitVectorsSelectColumnsOfTheWeight) {
  const int outputs = 7;
  const int inputs = 5;
  std::vector<float> units(inputs * inputs, 0);
  for (int k = 0; k < inputs; k++) {
    units[k * inputs + k] = 1;
  }
  const std::vector<float> weight = Random(1).normals(outputs * inputs);
  std::vector<float> y(inputs * outputs);
  linear_oracle({units.data(), weight.data(), nullptr, y.data(), inputs, outputs, inputs});
  for (int k = 0; k < inputs; k++) {
    for (int n = 0; n < outputs; n++) {
      EXPECT_EQ(y[k * outputs + n], weight[n * inputs + k]);
    }
  }
}

TEST(Linear, wholeNumbersAreExactInBothTypes) {
  for (int rows : {1, 7}) {
    for (int outputs : {1, 321, 331}) {
      const int inputs = 60;
      const std::vector<float> x = whole_numbers(std::int64_t{rows} * inputs, 2);
      const std::vector<float> weight = whole_numbers(std::int64_t{outputs} * inputs, 3);
      const std::vector<float> bias = whole_numbers(outputs, 4);
      // Column by column, in integers: nothing shared with the oracle's loops.
      std::vector<int> expected(rows * outputs, 0);
      for (int k = 0; k < inputs; k++) {
        for (int i = 0; i < rows * outputs; i++) {
          expected[i] += static_cast<int>(x[i / outputs * inputs + k] * weight[i % outputs * inputs + k]);
        }
      }
      for (DType dtype : {DType::float32, DType::bfloat16}) {
        const Buffer typed_x(x, dtype);
        const Buffer typed_weight(weight, dtype);
        std::vector<float> y(rows * outputs);
        linear_oracle({typed_x.input(), typed_weight.input(), bias.data(), y.data(), rows, outputs, inputs});
        for (int i = 0; i < rows * outputs; i++) {
          ASSERT_EQ(y[i], static_cast<float>(expected[i]) + bias[i % outputs]) << i;
        }
      }
    }
  }
}

TEST(Linear, bfloat16ResultIsTheFloat32ResultRounded) {
  const LinearShape shape{7, 33, 60, DType::bfloat16, DType::bfloat16, true};
  const LinearCase test(shape, 5);
  Buffer narrow(7 * 33, DType::bfloat16);
  Buffer wide(7 * 33, DType::float32);
  linear_oracle(test.args(narrow));
  linear_oracle(test.args(wide));
  int rounded = 0;
  for (int i = 0; i < 7 * 33; i++) {
    EXPECT_EQ(narrow.at(i), to_float(to_bfloat16(wide.at(i))));
    rounded += narrow.at(i) != wide.at(i) ? 1 : 0;
  }
  EXPECT_GT(rounded, 200);
}

TEST(Linear, aRowDependsOnNoOther) {
  const int inputs = 60;
  const int outputs = 33;
  const std::vector<float> x = Random(6).normals(7 * inputs);
  const std::vector<float> weight = Random(7).normals(outputs * inputs);
  std::vector<float> together(7 * outputs);
  linear_oracle({x.data(), weight.data(), nullptr, together.data(), 7, outputs, inputs});
  for (int t = 0; t < 7; t++) {
    std::vector<float> alone(outputs);
    linear_oracle({x.data() + t * inputs, weight.data(), nullptr, alone.data(), 1, outputs, inputs});
    EXPECT_TRUE(std::equal(alone.begin(), alone.end(), together.begin() + t * outputs));
  }
}

// Float32 sums in 16 lanes, as a vector unit adds.
void float32_linear(const LinearArgs& args) {
  for (int t = 0; t < args.rows; t++) {
    for (int n = 0; n < args.outputs; n++) {
      float lanes[16] = {};
      for (std::int64_t k = 0; k < args.inputs; k++) {
        lanes[k % 16] +=
            args.x.at(std::int64_t{t} * args.inputs + k) * args.weight.at(std::int64_t{n} * args.inputs + k);
      }
      float sum = args.bias == nullptr ? 0 : args.bias[n];
      for (float lane : lanes) {
        sum += lane;
      }
      args.y.set(std::int64_t{t} * args.outputs + n, sum);
    }
  }
}

TEST(LinearCases, acceptFloat32SumsInAnotherOrder) {
  const Conformance result = check_linear(float32_linear, Device::cpu);
  EXPECT_TRUE(result.passed()) << result;
}

TEST(LinearCases, rejectALostLastColumn) {
  const Conformance result = check_linear(
      [](const LinearArgs& args) {
        const std::int64_t inputs = args.inputs;
        std::vector<float> x;
        std::vector<float> weight;
        for (std::int64_t i = 0; i < args.rows * inputs; i++) {
          x.push_back(i % inputs == inputs - 1 ? 0 : args.x.at(i));
        }
        for (std::int64_t i = 0; i < args.outputs * inputs; i++) {
          weight.push_back(args.weight.at(i));
        }
        linear_oracle({x.data(), weight.data(), args.bias, args.y, args.rows, args.outputs, args.inputs});
      },
      Device::cpu);
  EXPECT_EQ(static_cast<int>(result.failures.size()), result.cases) << result;
}

TEST(LinearCases, rejectAForgottenBias) {
  const Conformance result = check_linear(
      [](const LinearArgs& args) {
        LinearArgs wrong = args;
        wrong.bias = nullptr;
        linear_oracle(wrong);
      },
      Device::cpu, [](const LinearShape& shape) { return shape.bias; });
  EXPECT_EQ(static_cast<int>(result.failures.size()), result.cases) << result;
}

TEST(LinearCases, rejectSumsInBfloat16) {
  const Conformance result = check_linear(
      [](const LinearArgs& args) {
        for (std::int64_t i = 0; i < std::int64_t{args.rows} * args.outputs; i++) {
          float sum = args.bias == nullptr ? 0 : args.bias[i % args.outputs];
          for (std::int64_t k = 0; k < args.inputs; k++) {
            sum = to_float(to_bfloat16(sum + args.x.at(i / args.outputs * args.inputs + k) *
                                                 args.weight.at(i % args.outputs * args.inputs + k)));
          }
          args.y.set(i, sum);
        }
      },
      Device::cpu, [](const LinearShape& shape) { return shape.inputs > 1; });
  EXPECT_EQ(static_cast<int>(result.failures.size()), result.cases) << result;
}

}  // namespace
}  // namespace dolly4j::test
