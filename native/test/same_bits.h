// Comparison of float32 numbers by their bits.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <ios>
#include <string>
#include <vector>

namespace dolly4j::test {

// Also the sign of a zero. A NaN fails even if both sides have it: it stands for what was never written.
inline void expect_same_bits(const std::vector<float>& actual, const std::vector<float>& expected,
                             const std::string& what) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  for (std::size_t i = 0; i < actual.size(); i++) {
    if (std::isnan(actual[i]) || std::memcmp(&actual[i], &expected[i], sizeof(float)) != 0) {
      FAIL() << what << ", number " << i << " is " << std::hexfloat << actual[i] << ", expected " << expected[i];
    }
  }
}

}  // namespace dolly4j::test
