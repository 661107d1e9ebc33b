#include "ops/rotary.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstdint>
#include <cstring>
#include <limits>

#include "conformance.h"
#include "random.h"

namespace dolly4j::test {
namespace {

// Rotates one head of one row as q, and returns it.
std::vector<float> rotate(const std::vector<float>& head, int position, const std::vector<float>& frequencies) {
  const auto head_size = static_cast<int>(head.size());
  const std::int32_t at = position;
  std::vector<float> q(head.size());
  std::vector<float> k(head.size());
  rotary_oracle({head.data(), head.data(), head_size, &at, frequencies.data(), q.data(), k.data(), 1, 1, head_size,
                 static_cast<int>(2 * frequencies.size())});
  EXPECT_EQ(q, k);
  return q;
}

double dot(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); i++) {
    sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  }
  return sum;
}

TEST(RotaryFrequencies, arePowersOfTheBase) {
  EXPECT_EQ(rotary_inverse_frequencies(4, 10000), (std::vector<float>{1, 0.01F}));
  EXPECT_EQ(rotary_inverse_frequencies(8, 256), (std::vector<float>{1, 0x1p-2F, 0x1p-4F, 0x1p-6F}));
  EXPECT_TRUE(rotary_inverse_frequencies(0, 10000).empty());
  const std::vector<float> frequencies = rotary_inverse_frequencies(80, 10000);
  ASSERT_EQ(frequencies.size(), 40U);
  for (int i = 0; i < 40; i++) {
    EXPECT_NEAR(frequencies[i] * std::exp(i / 40.0 * std::log(10000.0)), 1, 1e-6) << i;
  }
}

// Distance of a float32 number from a value, in units of its last place.
double places(float number, long double value) {
  const float magnitude = std::max(std::abs(number), std::numeric_limits<float>::min());
  const auto place =
      static_cast<long double>(std::nextafter(magnitude, INFINITY)) - static_cast<long double>(magnitude);
  return static_cast<double>(std::abs(static_cast<long double>(number) - value) / place);
}

TEST(RotaryAngles, haveSinesAndCosinesRoundedToNearest) {
  constexpr double kMost = 0.5 + 0x1p-25;
  Random random(7);
  for (int i = 0; i < 200000; i++) {
    // Of all sizes, and near multiples of a quarter of a turn, where the subtraction cancels.
    const float power = std::ldexp(1.0F, random.below(52) - 30);
    const float angle = i % 2 == 0 ? power * std::abs(random.normals(1)[0]) / 4
                                   : static_cast<float>(random.below(1 << 21)) * 1.57079632679489661923F;
    if (angle > 0x1p22F) {
      continue;
    }
    const SineAndCosine turn = rotary_sine_and_cosine(angle);
    ASSERT_LE(places(turn.sine, std::sin(static_cast<long double>(angle))), kMost) << angle;
    ASSERT_LE(places(turn.cosine, std::cos(static_cast<long double>(angle))), kMost) << angle;
  }
}

// Where they differed, the same prompt would give another text.
TEST(RotaryAngles, haveTheSameBitsEverywhere) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  const auto add = [&hash](float number) {
    std::uint32_t bits = 0;
    std::memcpy(&bits, &number, sizeof bits);
    hash = (hash ^ bits) * 0x100000001b3U;
  };
  for (const float frequency : rotary_inverse_frequencies(20, 10000)) {
    add(frequency);
    for (int position = 0; position < 2048; position++) {
      const SineAndCosine turn = rotary_sine_and_cosine(static_cast<float>(position) * frequency);
      add(turn.sine);
      add(turn.cosine);
    }
  }
  EXPECT_EQ(hash, 0xa6fd577130bae2dU);
}

TEST(Rotary, isMultiplicationByAUnitComplexNumber) {
  for (int head_size : {20, 24, 80}) {
    const std::vector<float> head = Random(head_size).normals(head_size);
    const int half = head_size / 4;
    const std::vector<float> frequencies = rotary_inverse_frequencies(2 * half, 10000);
    for (int position : {0, 1, 5, 1000}) {
      const std::vector<float> rotated = rotate(head, position, frequencies);
      for (int i = 0; i < half; i++) {
        const std::complex<double> point(head[i], head[i + half]);
        const float angle = static_cast<float>(position) * frequencies[i];
        const std::complex<double> expected = point * std::polar(1.0, static_cast<double>(angle));
        EXPECT_NEAR(rotated[i], expected.real(), 1e-6) << position;
        EXPECT_NEAR(rotated[i + half], expected.imag(), 1e-6) << position;
      }
    }
  }
}

TEST(Rotary, aQuarterTurnSwapsTheHalvesAndLeavesTheRestOfTheHead) {
  const float quarter = std::acos(-1.0F) / 2;
  const std::vector<float> rotated = rotate({1, 2, 3, 4, 5, 6, 7}, 1, {quarter, quarter});
  const std::vector<float> expected = {-3, -4, 1, 2, 5, 6, 7};
  for (int i = 0; i < 7; i++) {
    EXPECT_NEAR(rotated[i], expected[i], 1e-6) << i;
  }
}

TEST(Rotary, positionZeroChangesNothing) {
  const std::vector<float> head = Random(1).normals(24);
  EXPECT_EQ(rotate(head, 0, rotary_inverse_frequencies(24, 10000)), head);
}

TEST(Rotary, keepsTheLengthOfAHead) {
  for (int head_size : {16, 20, 24, 96, 256}) {
    const std::vector<float> head = Random(2).normals(head_size);
    const std::vector<float> rotated = rotate(head, 777, rotary_inverse_frequencies(head_size, 10000));
    EXPECT_NEAR(dot(rotated, rotated) / dot(head, head), 1, 1e-6) << head_size;
  }
}

TEST(Rotary, aDotProductDependsOnTheDistanceOnly) {
  for (int head_size : {20, 64}) {
    const std::vector<float> frequencies = rotary_inverse_frequencies(head_size, 10000);
    const std::vector<float> q = Random(3).normals(head_size);
    const std::vector<float> k = Random(4).normals(head_size);
    const double near = dot(rotate(q, 9, frequencies), rotate(k, 2, frequencies));
    const double far = dot(rotate(q, 509, frequencies), rotate(k, 502, frequencies));
    const double other = dot(rotate(q, 10, frequencies), rotate(k, 2, frequencies));
    EXPECT_NEAR(near, far, 2e-4) << head_size;
    EXPECT_GT(std::abs(near - other), 1e-2) << head_size;
  }
}

TEST(Rotary, sliceOfAFusedRowGivesTheSameAsDenseRows) {
  const int heads = 3;
  const int head_size = 20;
  const int width = heads * head_size;
  const std::vector<float> fused = Random(5).normals(7 * 3 * width);
  const std::vector<std::int32_t> positions = {5, 6, 0, 100, 7, 1, 2};
  const std::vector<float> frequencies = rotary_inverse_frequencies(10, 10000);
  std::vector<float> dense_q;
  std::vector<float> dense_k;
  for (int i = 0; i < 7 * 3 * width; i++) {
    if (i % (3 * width) < 2 * width) {
      (i % (3 * width) < width ? dense_q : dense_k).push_back(fused[i]);
    }
  }
  std::vector<float> out[4] = {std::vector<float>(7 * width), std::vector<float>(7 * width),
                               std::vector<float>(7 * width), std::vector<float>(7 * width)};
  rotary_oracle({fused.data(), fused.data() + width, 3 * width, positions.data(), frequencies.data(), out[0].data(),
                 out[1].data(), 7, heads, head_size, 10});
  rotary_oracle({dense_q.data(), dense_k.data(), width, positions.data(), frequencies.data(), out[2].data(),
                 out[3].data(), 7, heads, head_size, 10});
  EXPECT_EQ(out[0], out[2]);
  EXPECT_EQ(out[1], out[3]);
}

// A rotation in float32 of the pairs (first(i), second(i)) by angle(position, i).
template <class First, class Second, class Angle>
void float32_rotary(const RotaryArgs& args, const First& first, const Second& second, const Angle& angle) {
  for (int t = 0; t < args.rows; t++) {
    for (int h = 0; h < args.heads; h++) {
      const std::int64_t out = (std::int64_t{t} * args.heads + h) * args.head_size;
      const std::int64_t in = t * args.input_stride + std::int64_t{h} * args.head_size;
      for (const auto& [from, to] : {std::pair{args.q + in, args.q_out}, std::pair{args.k + in, args.k_out}}) {
        for (int i = 0; i < args.head_size; i++) {
          to.set(out + i, from[i]);
        }
        for (int i = 0; i < args.rotary_dims / 2; i++) {
          const float turn = angle(args.positions[t], i);
          const float x = from[first(i)];
          const float y = from[second(i)];
          to.set(out + first(i), x * std::cos(turn) - y * std::sin(turn));
          to.set(out + second(i), y * std::cos(turn) + x * std::sin(turn));
        }
      }
    }
  }
}

bool rotates(const RotaryShape& shape) { return shape.rotary_dims > 4; }

TEST(RotaryCases, acceptFloat32) {
  const Conformance result = check_rotary(
      [](const RotaryArgs& args) {
        const int half = args.rotary_dims / 2;
        float32_rotary(
            args, [](int i) { return i; }, [&](int i) { return i + half; },
            [&](int position, int i) { return static_cast<float>(position) * args.inverse_frequencies[i]; });
      },
      Device::cpu);
  EXPECT_TRUE(result.passed()) << result;
}

TEST(RotaryCases, rejectInterleavedPairs) {
  const Conformance result = check_rotary(
      [](const RotaryArgs& args) {
        float32_rotary(
            args, [](int i) { return 2 * i; }, [](int i) { return 2 * i + 1; },
            [&](int position, int i) { return static_cast<float>(position) * args.inverse_frequencies[i]; });
      },
      Device::cpu, rotates);
  EXPECT_EQ(static_cast<int>(result.failures.size()), result.cases) << result;
}

TEST(RotaryCases, rejectTheNextPosition) {
  const Conformance result = check_rotary(
      [](const RotaryArgs& args) {
        std::vector<std::int32_t> positions(args.positions, args.positions + args.rows);
        for (std::int32_t& position : positions) {
          position++;
        }
        RotaryArgs wrong = args;
        wrong.positions = positions.data();
        rotary_oracle(wrong);
      },
      Device::cpu, rotates);
  EXPECT_EQ(static_cast<int>(result.failures.size()), result.cases) << result;
}

TEST(RotaryCases, rejectAnglesThatAreNotFloat32Products) {
  const Conformance result = check_rotary(
      [](const RotaryArgs& args) {
        const int half = args.rotary_dims / 2;
        float32_rotary(
            args, [](int i) { return i; }, [&](int i) { return i + half; },
            [&](int position, int i) {
              return std::fmod(static_cast<float>(position) / std::round(1 / args.inverse_frequencies[i]),
                               2 * std::acos(-1.0F));
            });
      },
      Device::cpu, rotates);
  EXPECT_FALSE(result.passed());
}

}  // namespace
}  // namespace dolly4j::test
