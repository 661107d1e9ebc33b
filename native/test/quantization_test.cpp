#include "ops/quantization.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "cpu/float16.h"
#include "cpu/flush_denormals.h"
#include "every_isa.h"
#include "guarded_memory.h"
#include "random.h"

namespace dolly4j::test {
namespace {

using Bytes = GuardedMemory<std::uint8_t>;

constexpr WeightType kTypes[] = {WeightType::int8, WeightType::int4};

// Rows of usual weights, and of what is zero, tiny, huge, or has a few large numbers.
std::vector<float> any_rows(int count, int inputs, std::uint64_t seed) {
  Random random(seed);
  std::vector<float> rows = random.normals(std::int64_t{count} * inputs, 0.02F);
  constexpr float kScales[] = {1, 1, 1, 0, 0x1p-101F, 0x1p-70F, 0x1p-30F, 1e-38F, 1e6F, 0x1p127F};
  for (int i = 0; i < count; i++) {
    const float scale = kScales[random.below(10)];
    for (int k = 0; k < inputs; k++) {
      rows[i * inputs + k] *= scale * (random.below(100) == 0 ? 50.0F : 1.0F);
    }
  }
  for (float& number : rows) {
    number = std::clamp(number, -std::numeric_limits<float>::max(), std::numeric_limits<float>::max());
  }
  return rows;
}

Bytes quantized(QuantizeFn quantize, const PackedWeight& weight, const std::vector<float>& rows, int first_lane) {
  const GuardedMemory<float> guarded(rows);
  Bytes block(weight.block_bytes());
  std::fill_n(block.data(), block.size(), std::uint8_t{0x5a});
  const FlushDenormals flush;
  quantize({weight, guarded.data(), first_lane, static_cast<int>(rows.size()) / weight.inputs, block.data()});
  return block;
}

class QuantizationOf : public EveryIsa {};
INSTANTIATE_TEST_SUITE_P(Isas, QuantizationOf, every_isa(), isa_name);

TEST_P(QuantizationOf, hasTheBytesOfTheOracleAndLeavesOtherOutputsAlone) {
  std::uint64_t seed = 0;
  for (const WeightType type : kTypes) {
    for (const int inputs : {1, 24, 64, 100, 128, 321}) {
      for (int first_lane = 0; first_lane < kBlockOutputs; first_lane++) {
        for (const int count : {1, 3, kBlockOutputs - first_lane}) {
          if (first_lane + count > kBlockOutputs) {
            continue;
          }
          const PackedWeight weight{type, kBlockOutputs, inputs, nullptr, nullptr};
          const std::vector<float> rows = any_rows(count, inputs, ++seed);
          const Bytes actual = quantized(quantize_outputs(GetParam()), weight, rows, first_lane);
          const Bytes expected = quantized(quantize_outputs_oracle, weight, rows, first_lane);
          ASSERT_EQ(std::memcmp(actual.data(), expected.data(), actual.size()), 0)
              << (type == WeightType::int8 ? "int8, " : "int4, ") << inputs << " inputs, " << count << " from lane "
              << first_lane;
        }
      }
    }
  }
}

// The root of the squared error in proportion to the weights.
double relative_error(const std::vector<float>& weights, const std::vector<float>& back) {
  double error = 0;
  double all = 0;
  for (std::size_t i = 0; i < weights.size(); i++) {
    error += std::pow(static_cast<double>(weights[i]) - back[i], 2);
    all += std::pow(static_cast<double>(weights[i]), 2);
  }
  return std::sqrt(error / all);
}

// The weights of a block of 16 rows that a multiplication by it means.
std::vector<float> meaning_of(const Bytes& block, const PackedWeight& weight) {
  std::vector<float> result;
  for (int n = 0; n < kBlockOutputs; n++) {
    for (int k = 0; k < weight.inputs; k++) {
      if (weight.type == WeightType::int8) {
        const float scale = reinterpret_cast<const float*>(block.data())[n];
        result.push_back(scale * static_cast<float>(block.data()[64 + k / 4 * 64 + n * 4 + k % 4] - 128));
        continue;
      }
      const std::uint8_t* pair = block.data() + k / 128 * 1088;
      const int group = k / 64 % 2;
      const float scale = to_float(reinterpret_cast<const float16*>(pair)[group * 16 + n]);
      const int byte = pair[64 + group * 512 + k % 64 / 8 * 64 + n * 4 + k % 4];
      result.push_back(scale * static_cast<float>((k % 8 < 4 ? byte % 16 : byte / 16) - 8));
    }
  }
  return result;
}

TEST(Quantization, ofInt8IsWithinHalfAStepOfEveryWeight) {
  const PackedWeight weight{WeightType::int8, kBlockOutputs, 250, nullptr, nullptr};
  const std::vector<float> rows = Random(1).normals(16 * 250);
  const std::vector<float> back = meaning_of(quantized(quantize_outputs_oracle, weight, rows, 0), weight);
  for (int n = 0; n < 16; n++) {
    float largest = 0;
    for (int k = 0; k < 250; k++) {
      largest = std::max(largest, std::abs(rows[n * 250 + k]));
    }
    for (int k = 0; k < 250; k++) {
      EXPECT_NEAR(back[n * 250 + k], rows[n * 250 + k], largest / 127 * 0.5001F);
    }
  }
}

// Steps of the largest weight / 7 leave 0.105 of normal weights, / -8 0.0934, the best of all steps 0.0898.
TEST(Quantization, ofInt4FindsScalesThatAreBetterThanThoseOfTheLargestWeight) {
  const PackedWeight weight{WeightType::int4, kBlockOutputs, 2560, nullptr, nullptr};
  const std::vector<float> rows = Random(2).normals(16 * 2560, 0.02F);
  const std::vector<float> back = meaning_of(quantized(quantize_outputs_oracle, weight, rows, 0), weight);
  EXPECT_LT(relative_error(rows, back), 0.091);
}

TEST(Quantization, ofInt4IsExactForWeightsOnAGrid) {
  const PackedWeight weight{WeightType::int4, kBlockOutputs, 128, nullptr, nullptr};
  Random random(3);
  std::vector<float> rows;
  for (int i = 0; i < 16 * 128; i++) {
    rows.push_back(static_cast<float>(i % 64 == 0 ? -8 : random.below(16) - 8) * 0.125F);
  }
  EXPECT_EQ(meaning_of(quantized(quantize_outputs_oracle, weight, rows, 0), weight), rows);
}

}  // namespace
}  // namespace dolly4j::test
