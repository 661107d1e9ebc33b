// The keys and values of one layer as the CPU kernels keep them: for every block of 16 positions and every head
//
//   keys    float32   [head_size, 16 positions]
//           bfloat16  [head_size / 4, 2, 16 positions, 2]
//   values  float32   [head_size / 16, 16 positions, 16 numbers]
//           bfloat16  [head_size / 16, 16 / 4, 2, 16 numbers, 2]
//
// with head_size rounded up to a multiple of 4 for keys and of 16 for values. 64 bytes, a line, are always one vector.
//
// Lines of bfloat16 are of four numbers of a head, those of values of four positions: 0 and 2 in the first one, 1 and 3
// in the second, 2 before 0 and 3 before 1. So the even and the odd ones, which cached_attention.h sums apart, are in
// lines of their own, and VDPBF16PS, which multiplies the second of a pair first, adds them in their order.
//
// Only positions that were appended hold numbers of their sequence; the others may hold those of sequences that had the
// block before.
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
  [[gnu::always_inline]] int key_elements() const { return (head_size + 3) / 4 * 4 * kKvBlockSize; }
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
    return dtype == DType::float32 ? number * kKvBlockSize + slot : place_in_lines(number, slot);
  }
  [[gnu::always_inline]] int value_place(int slot, int number) const {
    const int part = number / 16 * 16 * kKvBlockSize;
    return part + (dtype == DType::float32 ? slot * 16 + number % 16 : place_in_lines(slot, number % 16));
  }

  static constexpr int kLine = 32;  // numbers of bfloat16

  // Place of number or position i of lane `lane` in the lines of bfloat16.
  [[gnu::always_inline]] static int place_in_lines(int i, int lane) {
    return (i / 4 * 2 + i % 2) * kLine + lane * 2 + (i % 4 < 2 ? 1 : 0);
  }
};

}  // namespace dolly4j
