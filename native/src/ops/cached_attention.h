// y[t, h, :] = sum over j of p[j] * values[j, h, :]
// with p = softmax over j of (q[t, h, :] . keys[j, h, :]) / sqrt(head_size)
// where j runs over the positions 0 .. positions[t] of the row's own sequence            as paged_attention.h
//
//   q      [rows, heads, head_size]    float32, rotated; numbers of bfloat16 where the cache is bfloat16
//   cache  PackedKvCache               float32 or bfloat16, holds the rows of this step already
//   y      [rows, heads * head_size]   Activations, float32, or bfloat16 rounded to nearest even
//
// A softmax over splits of kSplit positions, merged in order (Milakov and Gimelshein 2018; Dao et al. 2022), so that
// the bits do not depend on threads, on the other rows of the step, or on what the blocks hold beyond the context. For
// every split, in float32:
//
//   s[j] = (q . key j) * (1 / sqrt(head_size))      the sum in the tiles order of packed_linear.h, float32: one chain
//   m'   = max s[j]
//   p[j] = exp(s[j] - m')                           vector_math.h; rounded to bfloat16 where the cache is bfloat16
//   l'   = sum of p[j]                              16 lanes (j % 16), each in order of j, then Generic::sum's tree
//   o'   = sum of p[j] * value j                    tiles order over j from the split's first (float32: one chain)
//
// A sum ends with the row's context, or with the head: what lies beyond is not multiplied by zero, it is not there.
//
// The first split is (m, l, o). Each further one is merged by m" = max(m, m'), a = exp(m - m"), b = exp(m' - m"),
// l = fma(l, a, l' * b), o = fma(o, a, o' * b), m = m". At last y = o / l.
#pragma once

#include <cstdint>

#include "ops/activations.h"
#include "ops/packed_kv_cache.h"
#include "ops/ragged_batch.h"

namespace dolly4j {

enum class Isa;  // cpu/isa.h

// Positions of a split of the softmax.
constexpr int kSplit = 256;

struct CachedAttentionArgs {
  const float* q;
  PackedKvCache cache;
  Activations y;
  RaggedBatch batch;
};

// Part of the work: rows of one sequence, heads beside each other.
struct AttentionItem {
  std::int32_t sequence;
  std::int32_t first_head;
  std::int32_t heads;
  std::int32_t first_row;  // of the batch
  std::int32_t rows;
};

// Most rows of an item, those of every head counted.
constexpr int kAttentionRows = 16;

using CachedAttentionFn = void (*)(const CachedAttentionArgs& args, const AttentionItem& item, void* scratch);

struct CachedAttention {
  CachedAttentionFn run;
  std::int64_t (*scratch_bytes)(int head_size);
};

CachedAttention cached_attention(Isa isa);

}  // namespace dolly4j
