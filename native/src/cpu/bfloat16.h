// bfloat16: the upper half of a float32. 8 bits of exponent, 7 of fraction.
#pragma once

#include <cstdint>
#include <cstring>

namespace dolly4j {

// A bfloat16 number by its bits; arithmetic is done in float. The functions are always inlined: kernel files are
// compiled for instruction sets that other files must not get code of.
struct bfloat16 {
  std::uint16_t bits;
};

// Exact.
[[gnu::always_inline]] inline float to_float(bfloat16 value) {
  const std::uint32_t bits = std::uint32_t{value.bits} << 16;
  float result;
  std::memcpy(&result, &bits, sizeof result);
  return result;
}

// Rounds to nearest, ties to even; beyond the largest finite bfloat16 to infinity. A NaN stays a NaN of the same sign,
// made quiet.
[[gnu::always_inline]] inline bfloat16 to_bfloat16(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  if ((bits & 0x7fffffffU) > 0x7f800000U) {
    return {static_cast<std::uint16_t>((bits >> 16) | 0x0040U)};
  }
  const std::uint32_t tie_to_even = (bits >> 16) & 1U;
  return {static_cast<std::uint16_t>((bits + 0x7fffU + tie_to_even) >> 16)};
}

}  // namespace dolly4j
