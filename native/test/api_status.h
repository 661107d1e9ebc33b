// What tests do with a d4j_status.
#pragma once

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

#include "dolly4j.h"

namespace dolly4j::test {

// Throws the last error unless the status is D4J_OK.
inline void check(d4j_status status) {
  if (status != D4J_OK) {
    throw std::runtime_error(d4j_last_error());
  }
}

// The status and a part of the last error.
inline void expect_failure(d4j_status actual, d4j_status expected, const std::string& message) {
  EXPECT_EQ(actual, expected) << d4j_last_error();
  EXPECT_NE(std::string(d4j_last_error()).find(message), std::string::npos)
      << "expected: " << message << "\nactual:   " << d4j_last_error();
}

}  // namespace dolly4j::test
