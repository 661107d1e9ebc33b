// What an item of cached_attention.h keeps of its rows while it goes through the context, 64-byte aligned: float32, or
// where a kernel multiplies pairs of bfloat16 (Products in line_products.h), these in as much memory.
#pragma once

#include <cstdint>

#include "ops/cached_attention.h"

namespace dolly4j {

struct AttentionScratch {
  float* scores;      // [kAttentionRows, kSplit]        of the split; then its probabilities, as factors
  float* split_sums;  // [kAttentionRows, padded head]   o'
  float* sums;        // [kAttentionRows, padded head]   o
  float* q;           // [padded head, kAttentionRows]   as factors; of one row [kAttentionRows, padded head]

  // Numbers of a head, rounded up to whole vectors.
  [[gnu::always_inline]] static int padded(int head_size) { return (head_size + 15) / 16 * 16; }

  [[gnu::always_inline]] static std::int64_t bytes(int head_size) {
    return std::int64_t{kAttentionRows} * (kSplit + 3 * padded(head_size)) * 4;
  }

  [[gnu::always_inline]] static AttentionScratch at(void* memory, int head_size) {
    auto* scores = static_cast<float*>(memory);
    float* split_sums = scores + kAttentionRows * kSplit;
    const int of_rows = kAttentionRows * padded(head_size);
    return {scores, split_sums, split_sums + of_rows, split_sums + 2 * of_rows};
  }
};

}  // namespace dolly4j
