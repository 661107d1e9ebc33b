// What the phases of a step hand on to each other, with the memory it lies in.
#pragma once

#include <cstdint>

#include "cpu/aligned_memory.h"
#include "ops/activations.h"

namespace dolly4j {

/// Inputs of a matmul with the memory they lie in. Padding is 0 from the start and stays so.
class ActivationMemory {
 public:
  ActivationMemory(int rows, int inputs, DType dtype)
      : memory_(static_cast<std::size_t>(activation_elements(rows, inputs) * size_of(dtype)), "activations"),
        activations_{memory_.data(), dtype, inputs} {}

  const Activations& get() const { return activations_; }

 private:
  AlignedMemory memory_;
  Activations activations_;
};

class FloatMemory {
 public:
  FloatMemory(std::int64_t rows, std::int64_t columns)
      : memory_(static_cast<std::size_t>(rows * columns) * sizeof(float), "activations") {}

  float* get() const { return static_cast<float*>(memory_.data()); }

 private:
  AlignedMemory memory_;
};

}  // namespace dolly4j
