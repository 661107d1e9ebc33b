// The one exception type of the native code; src/api turns it into a d4j_status and d4j_last_error().
#pragma once

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
inline void require(bool condition, const std::string& message) {
  if (!condition) {
    throw Error(D4J_INVALID_ARGUMENT, message);
  }
}

}  // namespace dolly4j
