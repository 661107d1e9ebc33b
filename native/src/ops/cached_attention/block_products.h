// What rows have to do with blocks of one head in the cache (packed_kv_cache.h), of either type: scores from keys, and
// sums of values; of bfloat16 in the tiles order, of float32 as one chain.
//
// Several rows share every load of a block, and their factors and results lie as in scratch.h. One row goes through
// several blocks beside each other, line by line, and with each line asks for the same one of the blocks to come.
#pragma once

#include <cstdint>

#include "ops/cached_attention/line_products.h"
#include "ops/cached_attention/scratch.h"

namespace dolly4j {
namespace {

template <class V, class Products, bool kEvenAndOdd>
class BlockProducts {
  using F = typename V::F;
  using Factor = typename Products::Factor;
  template <int kRows>
  using Sums = RowSums<V, Products, kRows>;
  template <int kRows>
  using Chain = ChainSums<V, Products, kEvenAndOdd, kRows>;

  static constexpr int kLanes = V::kLanes;
  static constexpr int kLine = PackedKvCache::kLine;
  static_assert(kLanes == kKvBlockSize, "a vector is one number of each position of a block");

 public:
  // Blocks that are worked on together: the positions of two chains of the tiles order.
  static constexpr int kBeside = 4;
  static constexpr int kChain = kTileInputs / kKvBlockSize;
  static_assert(kBeside == 2 * kChain, "no chain leaves its blocks");

  [[gnu::always_inline]] explicit BlockProducts(int head_size)
      : head_size_(head_size),
        padded_(AttentionScratch::padded(head_size)),
        scale_(V::largest(V::div(V::set(1.0F), V::sqrt(V::set(static_cast<float>(head_size)))))) {}

  // ---- Scores: of every row [kSplit], of which these are the ones of the block ----

  template <int kRows>
  [[gnu::noinline]] void score_block(const float* keys, const Factor* q, float* scores) const {
    Sums<kRows> sum;
    for (int i = 0; i < head_size_; ++i) {
      sum.add(V::load(keys + i * kKvBlockSize), q + i * kAttentionRows, 1);
    }
    store_scores(sum.of, scores, kSplit);
  }

  template <int kRows>
  [[gnu::noinline]] void score_block(const bfloat16* keys, const Factor* q, float* scores) const {
    Sums<kRows> sum;
    for (int i = 0; i < head_size_; i += kTileInputs) {
      Chain<kRows> chain;
      chain.add(keys + i * kKvBlockSize, smaller(head_size_ - i, kTileInputs),
                q + Products::place(i / 2) * kAttentionRows, kAttentionRows, 1);
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
        sum.of[r] = V::add(sum.of[r], V::add(chain.even.of[r], chain.odd.of[r]));
      }
    }
    store_scores(sum.of, scores, kSplit);
  }

  // One row's scores of two blocks; factors of q are `step` apart.
  [[gnu::noinline]] void score_two(const float* const* keys, const float* const* next, const Factor* q, int step,
                                   float* scores) const {
    F sum[2] = {V::zero(), V::zero()};
    for (int i = 0; i < head_size_; ++i) {
      for (int b = 0; b < 2; ++b) {
        const int at = i * kKvBlockSize;
        V::prefetch(next[b] + at);
        sum[b] = V::fma(V::broadcast(q + i * step), V::load(keys[b] + at), sum[b]);
      }
    }
    store_scores(sum, scores, kKvBlockSize);
  }

  [[gnu::noinline]] void score_two(const bfloat16* const* keys, const bfloat16* const* next, const Factor* q, int step,
                                   float* scores) const {
    F sum[2] = {V::zero(), V::zero()};
    for (int start = 0; start < head_size_; start += kTileInputs) {
      const int count = smaller(head_size_ - start, kTileInputs);
      const Factor* factors = q + Products::place(start / 2) * step;
      Chain<1> chain[2];
      for (int line = 0; line < count / 4 * 2; line += 2) {
        for (int b = 0; b < 2; ++b) {
          const int at = start * kKvBlockSize + line * kLine;
          V::prefetch(next[b] + at);
          V::prefetch(next[b] + at + kLine);
          chain[b].add(keys[b] + at, 4, factors + Products::place(line) * step, step, 0);
        }
      }
      for (int b = 0; b < 2; ++b) {
        if (count % 4 != 0) {
          chain[b].add_rest(keys[b] + start * kKvBlockSize, count, factors, step, 0);
        }
        sum[b] = V::add(sum[b], V::add(chain[b].even.of[0], chain[b].odd.of[0]));
      }
    }
    store_scores(sum, scores, kKvBlockSize);
  }

  // ---- Sums of values: of every row [padded head], to which products with its factors p are added ----

  // The first `count` positions of a chain of blocks.
  template <int kRows, class T>
  [[gnu::noinline]] void add_values(const T* const* values, int count, const Factor* p, float* sums) const {
    for (int i = 0; i < padded_; i += kLanes) {
      add_values_at<kRows>(values, i, count, p, sums + i);
    }
  }

  // For one row, all positions of the blocks.
  [[gnu::noinline]] void add_all_values(const float* const* values, const float* const* next, const Factor* p,
                                        float* sums) const {
    for (int i = 0; i < padded_; i += kLanes) {
      F sum = V::load(sums + i);
      for (int b = 0; b < kBeside; ++b) {
        for (int j = 0; j < kKvBlockSize; ++j) {
          const int at = i * kKvBlockSize + j * kLanes;
          V::prefetch(next[b] + at);
          sum = V::fma(V::broadcast(p + b * kKvBlockSize + j), V::load(values[b] + at), sum);
        }
      }
      V::store(sums + i, sum);
    }
  }

  // Both chains line by line beside each other.
  [[gnu::noinline]] void add_all_values(const bfloat16* const* values, const bfloat16* const* next, const Factor* p,
                                        float* sums) const {
    for (int i = 0; i < padded_; i += kLanes) {
      Chain<1> chain[2];
      for (int half = 0; half < kChain; ++half) {
        for (int j = 0; j < kKvBlockSize; j += 4) {
          for (int c = 0; c < 2; ++c) {
            const int b = c * kChain + half;
            const int at = i * kKvBlockSize + j * kLanes;
            V::prefetch(next[b] + at);
            V::prefetch(next[b] + at + kLine);
            chain[c].add(values[b] + at, 4, p + Products::place((b * kKvBlockSize + j) / 2), 1, 0);
          }
        }
      }
      const F sum = V::add(V::load(sums + i), V::add(chain[0].even.of[0], chain[0].odd.of[0]));
      V::store(sums + i, V::add(sum, V::add(chain[1].even.of[0], chain[1].odd.of[0])));
    }
  }

 private:
  [[gnu::always_inline]] static int smaller(int a, int b) { return a < b ? a : b; }

  template <int kCount>
  [[gnu::always_inline]] void store_scores(const F (&sums)[kCount], float* scores, int stride) const {
    const F scale = V::set(scale_);
#pragma GCC unroll 16
    for (int i = 0; i < kCount; ++i) {
      V::store(scores + i * stride, V::mul(sums[i], scale));
    }
  }

  // 16 numbers of the head, from i on.
  template <int kRows>
  [[gnu::always_inline]] void add_values_at(const float* const* values, int i, int count, const Factor* p,
                                            float* sums) const {
    Sums<kRows> sum;
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      sum.of[r] = V::load(sums + r * padded_);
    }
    for (int half = 0; half < count; half += kKvBlockSize) {
      const float* numbers = values[half / kKvBlockSize] + i * kKvBlockSize;
      for (int j = 0; j < smaller(count - half, kKvBlockSize); ++j) {
        sum.add(V::load(numbers + j * kLanes), p + half + j, kSplit);
      }
    }
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      V::store(sums + r * padded_, sum.of[r]);
    }
  }

  template <int kRows>
  [[gnu::always_inline]] void add_values_at(const bfloat16* const* values, int i, int count, const Factor* p,
                                            float* sums) const {
    Chain<kRows> chain;
    for (int half = 0; half < count; half += kKvBlockSize) {
      chain.add(values[half / kKvBlockSize] + i * kKvBlockSize, smaller(count - half, kKvBlockSize),
                p + Products::place(half / 2), 1, kSplit);
    }
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      float* sum = sums + r * padded_;
      V::store(sum, V::add(V::load(sum), V::add(chain.even.of[r], chain.odd.of[r])));
    }
  }

  const int head_size_;
  const int padded_;
  const float scale_;  // of scores
};

}  // namespace
}  // namespace dolly4j
