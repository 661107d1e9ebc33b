#include "cpu/bfloat16.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace dolly4j {
namespace {

float from_bits(std::uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

bfloat16 raw(std::uint32_t bits) { return {static_cast<std::uint16_t>(bits)}; }

TEST(Bfloat16, everyValueSurvivesTheWayToFloatAndBack) {
  for (std::uint32_t bits = 0; bits <= 0xffffU; bits++) {
    const bool nan = (bits & 0x7fffU) > 0x7f80U;
    const std::uint32_t expected = nan ? bits | 0x0040U : bits;
    ASSERT_EQ(to_bfloat16(to_float(raw(bits))).bits, expected) << std::hex << bits;
  }
}

TEST(Bfloat16, valuesAreThoseOfTheUpperHalfOfAFloat) {
  EXPECT_EQ(to_float(raw(0x3f80)), 1.0F);
  EXPECT_EQ(to_float(raw(0xc040)), -3.0F);
  EXPECT_EQ(to_float(raw(0x3f81)), 1.0F + 0x1p-7F);
  EXPECT_EQ(to_float(raw(0x0001)), 0x1p-133F);
  EXPECT_EQ(to_float(raw(0x7f80)), HUGE_VALF);
}

TEST(Bfloat16, roundsToTheNearerNeighbourAndATieToTheEvenOne) {
  // Magnitudes only; both signs are tried. The upper neighbour of the largest finite one is infinity.
  for (std::uint32_t lower = 0; lower < 0x7f80U; lower++) {
    const std::uint32_t middle = (lower << 16) + 0x8000U;
    const std::uint32_t even = (lower & 1U) == 0 ? lower : lower + 1;
    for (std::uint32_t sign : {0U, 0x8000U}) {
      const std::uint32_t float_sign = sign << 16;
      ASSERT_EQ(to_bfloat16(from_bits(float_sign | (middle - 1))).bits, sign | lower) << std::hex << lower;
      ASSERT_EQ(to_bfloat16(from_bits(float_sign | middle)).bits, sign | even) << std::hex << lower;
      ASSERT_EQ(to_bfloat16(from_bits(float_sign | (middle + 1))).bits, sign | (lower + 1)) << std::hex << lower;
    }
  }
}

TEST(Bfloat16, aNanStaysANanOfItsSign) {
  // The fraction bits of these are all in the half that is cut off, or would overflow if rounded up.
  for (std::uint32_t bits : {0x7f800001U, 0x7f80ffffU, 0x7fffffffU, 0x7fc00000U}) {
    const float positive = to_float(to_bfloat16(from_bits(bits)));
    const float negative = to_float(to_bfloat16(from_bits(bits | 0x80000000U)));
    EXPECT_TRUE(std::isnan(positive) && !std::signbit(positive)) << std::hex << bits;
    EXPECT_TRUE(std::isnan(negative) && std::signbit(negative)) << std::hex << bits;
  }
}

TEST(Bfloat16, beyondTheLargestIsInfinity) {
  EXPECT_EQ(to_float(to_bfloat16(std::numeric_limits<float>::max())), HUGE_VALF);
  EXPECT_EQ(to_float(to_bfloat16(-std::numeric_limits<float>::max())), -HUGE_VALF);
}

}  // namespace
}  // namespace dolly4j
