// What an item of cached_attention.h keeps of its rows while it goes through the context, all float32, 64-byte aligned.
#pragma once

#include <cstdint>

#include "ops/cached_attention.h"

namespace dolly4j {

struct AttentionScratch {
  float* scores;      // [kAttentionRows, kSplit]        of the split; then its probabilities
  float* split_sums;  // [kAttentionRows, padded head]   o'
  float* sums;        // [kAttentionRows, padded head]   o
  float* q;           // [padded head, kAttentionRows]   of several rows

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
