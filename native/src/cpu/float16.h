// float16 (IEEE binary16): 5 bits of exponent, 10 of fraction. Read from checkpoint files only; never computed with.
#pragma once

#include <cstdint>
#include <cstring>

namespace dolly4j {

// A float16 number by its bits.
struct float16 {
  std::uint16_t bits;
};

// Exact, denormals included; infinities and NaNs stay what they are, with their fraction bits.
inline float to_float(float16 value) {
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

}  // namespace dolly4j
