// The keys and values of one layer as the CPU kernels keep them: for every block of 16 positions and every head
//
//   keys    float32   [head_size, 16 positions]
//           bfloat16  [head_size / 2, 16 positions, 2 numbers]
//   values  float32   [head_size / 16, 16 positions, 16 numbers]
//           bfloat16  [head_size / 16, 16 / 2, 16 numbers, 2 positions]
//
// with head_size rounded up to a multiple of 2 for keys and of 16 for values. So keys are the packed weight
// (packed_linear.h) of a matmul with 16 positions as outputs, values that of one with 16 numbers of a head as outputs
// and positions as inputs, and 64 bytes are always one vector. Padding is 0.
//
// Only positions that were appended hold numbers of their sequence; the others may hold those of sequences that had the
// block before. Appending an even position to values in bfloat16 also writes 0 for the odd one after it, with which it
// shares its pairs.
#pragma once

#include <cstdint>

#include "ops/operand.h"
#include "ops/ragged_batch.h"

namespace dolly4j {

struct PackedKvCache {
  void* keys;
  void* values;
  DType dtype;
  int heads;
  int head_size;

  // Elements of a block and head.
  [[gnu::always_inline]] int key_elements() const { return (head_size + 1) / 2 * 2 * kKvBlockSize; }
  [[gnu::always_inline]] int value_elements() const { return (head_size + 15) / 16 * 16 * kKvBlockSize; }

  // Place of the first element of a block and head.
  [[gnu::always_inline]] std::int64_t keys_at(int block, int head) const {
    return (std::int64_t{block} * heads + head) * key_elements();
  }
  [[gnu::always_inline]] std::int64_t values_at(int block, int head) const {
    return (std::int64_t{block} * heads + head) * value_elements();
  }

  // Place of a number of a key or value within its block and head; `slot` is the position in the block.
  [[gnu::always_inline]] int key_place(int slot, int number) const {
    return dtype == DType::float32 ? number * kKvBlockSize + slot : (number / 2 * kKvBlockSize + slot) * 2 + number % 2;
  }
  [[gnu::always_inline]] int value_place(int slot, int number) const {
    const int part = number / 16 * 16 * kKvBlockSize;
    return dtype == DType::float32 ? part + slot * 16 + number % 16
                                   : part + (slot / 2 * 16 + number % 16) * 2 + slot % 2;
  }
};

}  // namespace dolly4j
