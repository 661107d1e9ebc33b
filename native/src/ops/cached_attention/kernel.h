// The kernel of cached_attention.h for the vector struct V (cpu/vector_*.h): an item goes through the splits of its
// context, and through each three times: scores of all blocks, probabilities, sums of the values.
//
// Bound: at decode, one read of the keys and values: a row of one head does two multiply-adds for every number that is
// read. Since a sequence's blocks are anywhere, the CPU's own prefetching stops at the end of each: the kernel asks for
// what it reads kAhead blocks later, keys and values alike. In a prompt, the multiply-adds: kRowsAtOnce rows share
// every load and widening, and their sums stay in registers. The sums of one row are the same ones whichever rows it is
// joined with: every row has its own lanes, and each ends where its own context ends.
#pragma once

#include <cstdint>

#include "cpu/vector_math.h"
#include "ops/cached_attention/scratch.h"

namespace dolly4j {
namespace {

template <class V, class T, int kRowsAtOnce>
class AttentionItemKernel {
  using F = typename V::F;

  static constexpr int kLanes = V::kLanes;
  static constexpr int kBlocks = kSplit / kKvBlockSize;
  static constexpr int kAhead = 2;
  // Positions whose products are summed together: a chain of the tiles order, for float32 a block.
  static constexpr int kChain = sizeof(T) == sizeof(float) ? kKvBlockSize : kTileInputs;
  static constexpr int kChainBlocks = kChain / kKvBlockSize;
  static_assert(kLanes == kKvBlockSize, "a vector is one number of each position of a block");

 public:
  [[gnu::always_inline]] AttentionItemKernel(const CachedAttentionArgs& args, const AttentionItem& item, void* memory)
      : args_(args),
        item_(item),
        head_size_(args.cache.head_size),
        padded_(AttentionScratch::padded(args.cache.head_size)),
        scratch_(AttentionScratch::at(memory, args.cache.head_size)),
        q_stride_(std::int64_t{args.cache.heads} * args.cache.head_size),
        q_(args.q + item.first_row * q_stride_ + std::int64_t{item.head} * args.cache.head_size),
        blocks_(args.batch.block_tables + std::int64_t{item.sequence} * args.batch.block_table_stride) {}

  void run() {
    const int first_context = args_.batch.positions[item_.first_row] + 1;
    const int last_context = first_context + item_.rows - 1;
    for (int start = 0; start < last_context; start += kSplit) {
      // Every row's part of the split. Rows whose context ended before it, the first ones, take none.
      int first = 0;
      for (int row = 0; row < item_.rows; ++row) {
        counts_[row] = smaller(first_context + row - start, kSplit);
        first += counts_[row] <= 0 ? 1 : 0;
      }
      find_blocks(start, last_context);
      score(first);
      for (int row = first; row < item_.rows; ++row) {
        find_probabilities(row, start == 0);
      }
      sum_values(first);
      for (int row = first; row < item_.rows; ++row) {
        merge(row, start == 0);
      }
    }
    for (int row = 0; row < item_.rows; ++row) {
      store(row);
    }
  }

 private:
  [[gnu::always_inline]] static int smaller(int a, int b) { return a < b ? a : b; }

  // ---- Memory ----

  // Addresses of the split's keys and values, block by block, and of the keys that are read after them.
  void find_blocks(int start, int context) {
    const int first_block = start / kKvBlockSize;
    const int end_block = (context + kKvBlockSize - 1) / kKvBlockSize;
    block_count_ = smaller(end_block - first_block, kBlocks);
    const int next_split = smaller(end_block - first_block - block_count_, kAhead);
    const auto* keys = static_cast<const T*>(args_.cache.keys);
    const auto* values = static_cast<const T*>(args_.cache.values);
    for (int i = 0; i < block_count_; ++i) {
      parts_[i] = keys + args_.cache.keys_at(blocks_[first_block + i], item_.head);
      parts_[block_count_ + i] = values + args_.cache.values_at(blocks_[first_block + i], item_.head);
    }
    for (int i = 0; i < next_split; ++i) {
      parts_[2 * block_count_ + i] = keys + args_.cache.keys_at(blocks_[first_block + block_count_ + i], item_.head);
    }
    part_count_ = 2 * block_count_ + next_split;
  }

  // Asks for what is read kAhead parts after part i.
  void prefetch_after(int i) const {
    const int part = i + kAhead;
    if (part >= part_count_) {
      return;
    }
    const bool of_values = part >= block_count_ && part < 2 * block_count_;
    const int elements = of_values ? args_.cache.value_elements() : args_.cache.key_elements();
    for (int e = 0; e < elements; e += 64 / static_cast<int>(sizeof(T))) {
      V::prefetch(parts_[part] + e);
    }
  }

  // ---- Scores ----

  void score(int first_row) {
    for (int block = 0; block < block_count_; ++block) {
      prefetch_after(block);
      score_rows<kRowsAtOnce>(first_row, block);
    }
  }

  template <int kRows>
  void score_rows(int row, int block) {
    for (; row + kRows <= item_.rows; row += kRows) {
      score_block<kRows>(row, parts_[block], scratch_.scores + row * kSplit + block * kKvBlockSize);
    }
    if constexpr (kRows > 1) {
      score_rows<kRows / 2>(row, block);
    }
  }

  template <int kRows>
  void score_block(int row, const float* keys, float* scores) const {
    const float* q = q_ + row * q_stride_;
    F sum[kRows];
    for (int r = 0; r < kRows; ++r) {
      sum[r] = V::zero();
    }
    for (int i = 0; i < head_size_; ++i) {
      const F key = V::load(keys + i * kKvBlockSize);
      for (int r = 0; r < kRows; ++r) {
        sum[r] = V::fma(V::broadcast(q + r * q_stride_ + i), key, sum[r]);
      }
    }
    store_scores<kRows>(sum, scores);
  }

  template <int kRows>
  void score_block(int row, const bfloat16* keys, float* scores) const {
    const float* q = q_ + row * q_stride_;
    F sum[kRows];
    for (int r = 0; r < kRows; ++r) {
      sum[r] = V::zero();
    }
    for (int start = 0; start < head_size_; start += kTileInputs) {
      const int end = smaller(start + kTileInputs, head_size_);
      F even[kRows];
      F odd[kRows];
      for (int r = 0; r < kRows; ++r) {
        even[r] = V::zero();
        odd[r] = V::zero();
      }
      for (int i = start; i + 1 < end; i += 2) {
        add_pair<kRows>(V::load_pairs(keys + i * kKvBlockSize), q + i, q_stride_, even, odd);
      }
      if (end % 2 != 0) {
        add_even<kRows>(V::load_pairs(keys + (end - 1) * kKvBlockSize), q + end - 1, q_stride_, even);
      }
      for (int r = 0; r < kRows; ++r) {
        sum[r] = V::add(sum[r], V::add(even[r], odd[r]));
      }
    }
    store_scores<kRows>(sum, scores);
  }

  template <int kRows>
  [[gnu::always_inline]] static void add_pair(typename V::Pairs pairs, const float* factors, std::int64_t stride,
                                              F* even, F* odd) {
    const F evens = V::even(pairs);
    for (int r = 0; r < kRows; ++r) {
      even[r] = V::fma(V::broadcast(factors + r * stride), evens, even[r]);
    }
    const F odds = V::odd(pairs);
    for (int r = 0; r < kRows; ++r) {
      odd[r] = V::fma(V::broadcast(factors + r * stride + 1), odds, odd[r]);
    }
  }

  template <int kRows>
  [[gnu::always_inline]] static void add_even(typename V::Pairs pairs, const float* factors, std::int64_t stride,
                                              F* even) {
    const F evens = V::even(pairs);
    for (int r = 0; r < kRows; ++r) {
      even[r] = V::fma(V::broadcast(factors + r * stride), evens, even[r]);
    }
  }

  template <int kRows>
  [[gnu::always_inline]] void store_scores(const F* sum, float* scores) const {
    const F scale = V::div(V::set(1.0F), V::sqrt(V::set(static_cast<float>(head_size_))));
    for (int r = 0; r < kRows; ++r) {
      V::store(scores + r * kSplit, V::mul(sum[r], scale));
    }
  }

  // ---- Probabilities ----

  // Of the scores of one row; m' and l'. Scores beyond the row's context are of what others left there, NaN perhaps.
  void find_probabilities(int row, bool first_split) {
    const int count = counts_[row];
    const int whole = count / kLanes * kLanes;
    float* scores = scratch_.scores + row * kSplit;
    F largest = V::set(-__builtin_inff());
    if (whole < count) {
      largest = V::first(count - whole, V::load(scores + whole), largest);
      V::store(scores + whole, largest);
    }
    for (int j = 0; j < whole; j += kLanes) {
      largest = V::max(largest, V::load(scores + j));
    }
    const float highest = V::largest(largest);
    F total = V::zero();
    for (int j = 0; j < count; j += kLanes) {
      F p = VectorMath<V>::exp(V::sub(V::load(scores + j), V::set(highest)));
      T rounded[kLanes];
      V::store(rounded, p);
      p = V::load(rounded);
      V::store(scores + j, p);
      total = V::add(total, j < whole ? p : V::first(count - whole, p, V::zero()));
    }
    (first_split ? highest_ : split_highest_)[row] = highest;
    (first_split ? totals_ : split_totals_)[row] = V::sum(total);
  }

  // ---- Sums of values ----

  void sum_values(int first_row) {
    for (int row = first_row; row < item_.rows; ++row) {
      for (int i = 0; i < padded_; i += kLanes) {
        V::store(scratch_.split_sums + row * padded_ + i, V::zero());
      }
    }
    int row = first_row;  // the first whose context goes on
    for (int block = 0; block < block_count_; block += kChainBlocks) {
      const int start = block * kKvBlockSize;
      for (int i = 0; i < kChainBlocks; ++i) {
        prefetch_after(block_count_ + block + i);
      }
      for (; row < item_.rows && counts_[row] < start + kChain; ++row) {
        if (counts_[row] > start) {
          add_values<1>(row, block, counts_[row] - start, parts_[block_count_]);
        }
      }
      add_values_of_rows<kRowsAtOnce>(row, block);
    }
  }

  template <int kRows>
  void add_values_of_rows(int row, int block) {
    for (; row + kRows <= item_.rows; row += kRows) {
      add_values<kRows>(row, block, kChain, parts_[block_count_]);
    }
    if constexpr (kRows > 1) {
      add_values_of_rows<kRows / 2>(row, block);
    }
  }

  // Adds the products of `count` positions from the block's first on.
  template <int kRows>
  [[gnu::always_inline]] void add_values(int row, int block, int count, const float*) {
    const float* values = parts_[block_count_ + block];
    const float* p = scratch_.scores + row * kSplit + block * kKvBlockSize;
    for (int i = 0; i < padded_; i += kLanes) {
      F sum[kRows];
      for (int r = 0; r < kRows; ++r) {
        sum[r] = V::load(scratch_.split_sums + (row + r) * padded_ + i);
      }
      for (int j = 0; j < count; ++j) {
        const F value = V::load(values + i * kKvBlockSize + j * kLanes);
        for (int r = 0; r < kRows; ++r) {
          sum[r] = V::fma(V::broadcast(p + r * kSplit + j), value, sum[r]);
        }
      }
      for (int r = 0; r < kRows; ++r) {
        V::store(scratch_.split_sums + (row + r) * padded_ + i, sum[r]);
      }
    }
  }

  template <int kRows>
  [[gnu::always_inline]] void add_values(int row, int block, int count, const bfloat16*) {
    const float* p = scratch_.scores + row * kSplit + block * kKvBlockSize;
    for (int i = 0; i < padded_; i += kLanes) {
      F even[kRows];
      F odd[kRows];
      for (int r = 0; r < kRows; ++r) {
        even[r] = V::zero();
        odd[r] = V::zero();
      }
      for (int half = 0; half < count; half += kKvBlockSize) {
        const bfloat16* values = parts_[block_count_ + block + half / kKvBlockSize] + i * kKvBlockSize;
        const int end = smaller(count - half, kKvBlockSize);
        for (int j = 0; j + 1 < end; j += 2) {
          add_pair<kRows>(V::load_pairs(values + j * kLanes), p + half + j, kSplit, even, odd);
        }
        if (end % 2 != 0) {
          add_even<kRows>(V::load_pairs(values + (end - 1) * kLanes), p + half + end - 1, kSplit, even);
        }
      }
      for (int r = 0; r < kRows; ++r) {
        float* sum = scratch_.split_sums + (row + r) * padded_ + i;
        V::store(sum, V::add(V::load(sum), V::add(even[r], odd[r])));
      }
    }
  }

  // ---- Results ----

  void merge(int row, bool first_split) {
    float* sums = scratch_.sums + row * padded_;
    const float* split_sums = scratch_.split_sums + row * padded_;
    if (first_split) {
      for (int i = 0; i < padded_; i += kLanes) {
        V::store(sums + i, V::load(split_sums + i));
      }
      return;
    }
    const float highest = highest_[row] > split_highest_[row] ? highest_[row] : split_highest_[row];
    const F a = VectorMath<V>::exp(V::set(highest_[row] - highest));
    const F b = VectorMath<V>::exp(V::set(split_highest_[row] - highest));
    highest_[row] = highest;
    totals_[row] = V::largest(V::fma(V::set(totals_[row]), a, V::mul(V::set(split_totals_[row]), b)));
    for (int i = 0; i < padded_; i += kLanes) {
      V::store(sums + i, V::fma(V::load(sums + i), a, V::mul(V::load(split_sums + i), b)));
    }
  }

  // In runs that neither leave the head nor a tile of y.
  void store(int row) const {
    const int first_column = item_.head * head_size_;
    const F total = V::set(totals_[row]);
    auto* y = static_cast<T*>(args_.y.data);
    int count = 0;
    for (int i = 0; i < head_size_; i += count) {
      const int column = first_column + i;
      count = smaller(smaller(head_size_ - i, kLanes), kTileInputs - column % kTileInputs);
      const F sum = V::load_first(scratch_.sums + row * padded_ + i, count);
      V::store_first(y + args_.y.place(item_.first_row + row, column), V::div(sum, total), count);
    }
  }

  const CachedAttentionArgs& args_;
  const AttentionItem& item_;
  const int head_size_;
  const int padded_;
  const AttentionScratch scratch_;
  const std::int64_t q_stride_;
  const float* const q_;
  const std::int32_t* const blocks_;

  // The split: positions of it that each row sees; where its blocks are, keys then values.
  int counts_[kAttentionRows];
  int block_count_;
  int part_count_;
  const T* parts_[2 * kBlocks + kAhead];

  // m and l of every row, m' and l' of the split.
  float highest_[kAttentionRows];
  float totals_[kAttentionRows];
  float split_highest_[kAttentionRows];
  float split_totals_[kAttentionRows];
};

template <class V, int kRowsAtOnce>
void run_cached_attention(const CachedAttentionArgs& args, const AttentionItem& item, void* scratch) {
  if (args.cache.dtype == DType::float32) {
    AttentionItemKernel<V, float, kRowsAtOnce>(args, item, scratch).run();
  } else {
    AttentionItemKernel<V, bfloat16, kRowsAtOnce>(args, item, scratch).run();
  }
}

}  // namespace
}  // namespace dolly4j
