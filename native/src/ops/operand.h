// Typed operands of the ops. Element i of an operand is its i-th number in memory, row-major.
#pragma once

#include <cstdint>

#include "cpu/bfloat16.h"

namespace dolly4j {

enum class DType { float32, bfloat16 };

// Bytes of one element.
constexpr int size_of(DType dtype) { return dtype == DType::float32 ? 4 : 2; }

// Numbers an op reads.
struct Input {
  const void* data;
  DType dtype;

  Input(const float* numbers) : data(numbers), dtype(DType::float32) {}
  Input(const bfloat16* numbers) : data(numbers), dtype(DType::bfloat16) {}
  Input(const void* numbers, DType type) : data(numbers), dtype(type) {}

  // Exact for both types. For oracles; a kernel takes the pointer.
  float at(std::int64_t i) const {
    return dtype == DType::float32 ? static_cast<const float*>(data)[i]
                                   : to_float(static_cast<const bfloat16*>(data)[i]);
  }
};

// Numbers an op writes.
struct Output {
  void* data;
  DType dtype;

  Output(float* numbers) : data(numbers), dtype(DType::float32) {}
  Output(bfloat16* numbers) : data(numbers), dtype(DType::bfloat16) {}
  Output(void* numbers, DType type) : data(numbers), dtype(type) {}

  // bfloat16: rounded to nearest even. For oracles; a kernel takes the pointer.
  void set(std::int64_t i, float value) const {
    if (dtype == DType::float32) {
      static_cast<float*>(data)[i] = value;
    } else {
      static_cast<bfloat16*>(data)[i] = to_bfloat16(value);
    }
  }
};

}  // namespace dolly4j
