// float16 (IEEE binary16): 5 bits of exponent, 10 of fraction. Never computed with.
#pragma once

#include <cstdint>
#include <cstring>

namespace dolly4j {

// A float16 number by its bits.
struct float16 {
  std::uint16_t bits;
};

// Exact, denormals included; infinities and NaNs stay what they are, with their fraction bits.
[[gnu::always_inline]] inline float to_float(float16 value) {
  const std::uint32_t sign = (std::uint32_t{value.bits} & 0x8000U) << 16;
  const std::uint32_t exponent = (value.bits >> 10) & 0x1fU;
  const std::uint32_t fraction = value.bits & 0x3ffU;
  std::uint32_t bits;
  if (exponent == 0) {
    // fraction * 2^-24: zero, or a denormal that float32 holds as a normal number.
    const float magnitude = static_cast<float>(fraction) * 0x1p-24F;
    std::memcpy(&bits, &magnitude, sizeof bits);
  } else if (exponent == 0x1fU) {
    bits = 0x7f800000U | (fraction << 13);
  } else {
    bits = ((exponent + 127 - 15) << 23) | (fraction << 13);
  }
  bits |= sign;
  float result;
  std::memcpy(&result, &bits, sizeof result);
  return result;
}

// Rounds to nearest, ties to even; a number beyond the largest finite float16 becomes that, of its sign. Not for NaN.
[[gnu::always_inline]] inline float16 to_float16(float value) {
  constexpr float kLargest = 65504.0F;
  constexpr float kSmallestNormal = 0x1p-14F;
  const float size = __builtin_fabsf(value);
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  const std::uint32_t sign = bits >> 16 & 0x8000U;
  std::uint32_t magnitude;
  if (size >= kLargest) {
    magnitude = 0x7bffU;
  } else if (size < kSmallestNormal) {
    // A float32 of this magnitude has 2^-24, the unit of what is denormal in float16, in its last place.
    constexpr float kUnitInLastPlace = 0.5F;
    const float shifted = size + kUnitInLastPlace;
    std::uint32_t shifted_bits;
    std::memcpy(&shifted_bits, &shifted, sizeof shifted_bits);
    magnitude = shifted_bits - 0x3f000000U;
  } else {
    bits &= 0x7fffffffU;
    const std::uint32_t tie_to_even = bits >> 13 & 1U;
    magnitude = (bits + 0xfffU + tie_to_even - ((127U - 15U) << 23)) >> 13;
  }
  return {static_cast<std::uint16_t>(sign | magnitude)};
}

}  // namespace dolly4j
