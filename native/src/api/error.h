// The one exception type of the native code; src/api turns it into a d4j_status and d4j_last_error().
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

#include "dolly4j.h"

namespace dolly4j {

class Error : public std::runtime_error {
 public:
  Error(d4j_status status, const std::string& message) : std::runtime_error(message), status_(status) {}

  d4j_status status() const { return status_; }

 private:
  d4j_status status_;
};

/// Throws D4J_INVALID_ARGUMENT with the message unless the condition holds.
inline void require(bool condition, const char* message) {
  if (!condition) {
    throw Error(D4J_INVALID_ARGUMENT, message);
  }
}

/// The same with what message() returns, called only if the condition does not hold: a step that is right takes no
/// memory. There is none for a std::string, which would be put together in any case.
template <typename Message>
void require(bool condition, const Message& message) {
  if (!condition) {
    throw Error(D4J_INVALID_ARGUMENT, message());
  }
}

/// What is said of a value outside of low .. high.
inline std::string range_message(const char* name, std::int64_t value, std::int64_t low, std::int64_t high) {
  return std::string(name) + " must be " + std::to_string(low) + " .. " + std::to_string(high) + ", not " +
         std::to_string(value);
}

}  // namespace dolly4j
