#include "cpu/float16.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "cpu/bfloat16.h"

namespace dolly4j {
namespace {

std::uint32_t bits_of(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

TEST(Float16, allFiniteValuesAreSignTimesFractionTimesPowerOfTwo) {
  for (std::uint32_t bits = 0; bits <= 0xffffU; bits++) {
    const int exponent = static_cast<int>(bits >> 10) & 31;
    const int fraction = static_cast<int>(bits & 1023U);
    if (exponent == 31) {
      continue;
    }
    const double magnitude =
        exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1 + fraction / 1024.0, exponent - 15);
    const double expected = std::copysign(magnitude, (bits & 0x8000U) != 0 ? -1.0 : 1.0);
    const float actual = to_float(float16{static_cast<std::uint16_t>(bits)});
    ASSERT_EQ(static_cast<double>(actual), expected) << std::hex << bits;
    ASSERT_EQ(std::signbit(actual), std::signbit(expected)) << std::hex << bits;
  }
}

TEST(Float16, infinitiesAndNansStayWhatTheyAre) {
  EXPECT_EQ(to_float(float16{0x7c00}), HUGE_VALF);
  EXPECT_EQ(to_float(float16{0xfc00}), -HUGE_VALF);
  for (std::uint32_t fraction = 1; fraction < 1024; fraction++) {
    for (std::uint32_t sign : {0U, 0x8000U}) {
      const float value = to_float(float16{static_cast<std::uint16_t>(sign | 0x7c00U | fraction)});
      ASSERT_TRUE(std::isnan(value)) << fraction;
      ASSERT_EQ(std::signbit(value), sign != 0) << fraction;
    }
  }
}

TEST(Float16, noTwoHalvesBecomeTheSameFloat) {
  std::set<std::uint32_t> seen;
  for (std::uint32_t bits = 0; bits <= 0xffffU; bits++) {
    seen.insert(bits_of(to_float(float16{static_cast<std::uint16_t>(bits)})));
  }
  EXPECT_EQ(seen.size(), 0x10000U);
}

TEST(Float16, halvesOfSevenFractionBitsPassThroughBfloat16Unchanged) {
  for (std::uint32_t bits = 0; bits < 0x7c00U; bits += 8) {
    if (bits < 0x0400U) {
      continue;
    }
    const float value = to_float(float16{static_cast<std::uint16_t>(bits)});
    ASSERT_EQ(to_float(to_bfloat16(value)), value) << std::hex << bits;
  }
}

TEST(Float16, roundsToTheNearestHalfAndTiesToEven) {
  for (std::uint32_t bits = 0; bits < 0x7bffU; bits++) {
    const float lower = to_float(float16{static_cast<std::uint16_t>(bits)});
    const float upper = to_float(float16{static_cast<std::uint16_t>(bits + 1)});
    const float middle = (lower + upper) / 2;
    for (const float sign : {1.0F, -1.0F}) {
      const std::uint32_t sign_bit = sign < 0 ? 0x8000U : 0U;
      ASSERT_EQ(to_float16(sign * lower).bits, sign_bit | bits);
      ASSERT_EQ(to_float16(sign * std::nextafter(middle, lower)).bits, sign_bit | bits);
      ASSERT_EQ(to_float16(sign * middle).bits, sign_bit | (bits + bits % 2));
      ASSERT_EQ(to_float16(sign * std::nextafter(middle, upper)).bits, sign_bit | (bits + 1));
    }
  }
}

TEST(Float16, whatIsTooLargeBecomesTheLargest) {
  for (const float value : {65504.0F, 65520.0F, 1e10F, HUGE_VALF}) {
    EXPECT_EQ(to_float(to_float16(value)), 65504.0F);
    EXPECT_EQ(to_float(to_float16(-value)), -65504.0F);
  }
}

}  // namespace
}  // namespace dolly4j
