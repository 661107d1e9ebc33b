#include "cpu/bfloat16.h"

#include <gtest/gtest.h>

namespace dolly4j {
namespace {

TEST(Bfloat16, everyValueSurvivesTheWayToFloatAndBack) {
  for (std::uint32_t bits = 0; bits <= 0xffffU; bits++) {
    const bfloat16 value{static_cast<std::uint16_t>(bits)};
    const bool nan = (bits & 0x7fffU) > 0x7f80U;
    const std::uint32_t expected = nan ? bits | 0x0040U : bits;
    ASSERT_EQ(to_bfloat16(to_float(value)).bits, expected) << std::hex << bits;
  }
}

}  // namespace
}  // namespace dolly4j
