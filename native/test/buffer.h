// Memory of an operand with its type. Holds exactly its numbers, so that AddressSanitizer sees any step beyond them.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "ops/operand.h"

namespace dolly4j::test {

class Buffer {
 public:
  // Filled with NaN: what is never written can not pass for a result.
  Buffer(std::int64_t count, DType dtype) : Buffer(std::vector<float>(count, std::nanf("")), dtype) {}

  // Rounded to nearest even for bfloat16.
  Buffer(const std::vector<float>& numbers, DType dtype) : dtype_(dtype) {
    if (dtype == DType::float32) {
      floats_ = numbers;
    } else {
      for (float number : numbers) {
        bfloats_.push_back(to_bfloat16(number));
      }
    }
  }

  DType dtype() const { return dtype_; }
  std::int64_t count() const { return static_cast<std::int64_t>(floats_.size() + bfloats_.size()); }
  Input input() const { return {memory(), dtype_}; }
  Output output() { return {const_cast<void*>(memory()), dtype_}; }
  float at(std::int64_t i) const { return input().at(i); }
  void set(std::int64_t i, float value) { output().set(i, value); }

  // All numbers, widened.
  std::vector<float> floats() const {
    std::vector<float> numbers;
    for (std::int64_t i = 0; i < count(); i++) {
      numbers.push_back(at(i));
    }
    return numbers;
  }

 private:
  const void* memory() const {
    return dtype_ == DType::float32 ? static_cast<const void*>(floats_.data()) : bfloats_.data();
  }

  DType dtype_;
  std::vector<float> floats_;
  std::vector<bfloat16> bfloats_;
};

}  // namespace dolly4j::test
