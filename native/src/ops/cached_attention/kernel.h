// The kernel of cached_attention.h for the vector struct V (cpu/vector_*.h): an item goes through the splits of its
// context, and through each three times: scores of all blocks, probabilities, sums of the values.
//
// Bound: at decode, one read of the keys and values: a row of one head does two multiply-adds for every number that is
// read. A thread reaches the memory's speed with long pieces, several beside each other, and every line asked for well
// before its use. So an item of one row has many heads, which are neighbours in a block; it goes through four blocks
// together, two at a time line by line, and with each line asks for the same one of the next head.
//
// In a prompt, the multiply-adds: kRowsAtOnce rows share every load and widening. They take the even and the odd numbers
// of all pairs together, or where twice as many sums do not stay in registers, all even ones first.
//
// The sums of one row are the same ones whichever rows and heads it is joined with: every row has its own lanes, and
// each ends where its own context ends.
#pragma once

#include <cstdint>

#include "cpu/vector_math.h"
#include "ops/cached_attention/scratch.h"

namespace dolly4j {
namespace {

template <class V, class T, int kRowsAtOnce, bool kEvenAndOdd>
class AttentionItemKernel {
  using F = typename V::F;

  static constexpr int kLanes = V::kLanes;
  static constexpr int kBlocks = kSplit / kKvBlockSize;
  // Blocks that are worked on together: the positions of two chains of the tiles order.
  static constexpr int kBeside = 4;
  static constexpr int kChain = kTileInputs / kKvBlockSize;
  static_assert(kBeside == 2 * kChain && kBlocks % kBeside == 0, "no chain leaves its blocks, no blocks their split");
  static_assert(kLanes == kKvBlockSize, "a vector is one number of each position of a block");

 public:
  [[gnu::always_inline]] AttentionItemKernel(const CachedAttentionArgs& args, const AttentionItem& item, void* memory)
      : args_(args),
        item_(item),
        head_size_(args.cache.head_size),
        padded_(AttentionScratch::padded(args.cache.head_size)),
        key_elements_(args.cache.key_elements()),
        value_elements_(args.cache.value_elements()),
        scale_(V::largest(V::div(V::set(1.0F), V::sqrt(V::set(static_cast<float>(args.cache.head_size)))))),
        scratch_(AttentionScratch::at(memory, args.cache.head_size)),
        blocks_(args.batch.block_tables + std::int64_t{item.sequence} * args.batch.block_table_stride) {}

  void run() {
    if (item_.rows > 1) {
      pack_q();
    }
    const int first_context = args_.batch.positions[item_.first_row] + 1;
    const int last_context = first_context + item_.rows - 1;
    for (int start = 0; start < last_context; start += kSplit) {
      // Every row's part of the split. Rows whose context ended before it, the first ones, take none.
      first_row_ = 0;
      for (int row = 0; row < item_.rows; ++row) {
        counts_[row] = smaller(first_context + row - start, kSplit);
        first_row_ += counts_[row] <= 0 ? 1 : 0;
      }
      find_blocks(start, last_context);
      score();
      for_rows([&](int row, int place) { find_probabilities(row, place, start == 0); });
      sum_values();
      for_rows([&](int, int place) { merge(place, start == 0); });
    }
    for (int head = 0; head < item_.heads; ++head) {
      for (int row = 0; row < item_.rows; ++row) {
        if (args_.y.dtype == DType::float32) {
          store<float>(head, row);
        } else {
          store<bfloat16>(head, row);
        }
      }
    }
  }

 private:
  [[gnu::always_inline]] static int smaller(int a, int b) { return a < b ? a : b; }

  // Where the scratch keeps the numbers of a head's row.
  [[gnu::always_inline]] int place_of(int head, int row) const { return head * item_.rows + row; }

  // Calls task(row, place) for every head's rows that take part in the split.
  template <class Task>
  [[gnu::always_inline]] void for_rows(const Task& task) {
    for (int head = 0; head < item_.heads; ++head) {
      for (int row = first_row_; row < item_.rows; ++row) {
        task(row, place_of(head, row));
      }
    }
  }

  // ---- Memory ----

  const float* q_of(int head, int row) const {
    return args_.q + (std::int64_t{item_.first_row} + row) * args_.cache.heads * head_size_ +
           std::int64_t{item_.first_head + head} * head_size_;
  }

  // Lays a number of all rows beside each other.
  void pack_q() {
    for (int head = 0; head < item_.heads; ++head) {
      for (int row = 0; row < item_.rows; ++row) {
        const float* from = q_of(head, row);
        float* to = scratch_.q + place_of(head, row);
        for (int i = 0; i < head_size_; ++i) {
          to[i * kAttentionRows] = from[i];
        }
      }
    }
  }

  // Addresses of the first head's keys and values of the split, block by block, and of the ones after them: those of
  // the next split, or the last ones again.
  void find_blocks(int start, int context) {
    const int first_block = start / kKvBlockSize;
    const int end_block = (context + kKvBlockSize - 1) / kKvBlockSize;
    block_count_ = smaller(end_block - first_block, kBlocks);
    const auto* keys = static_cast<const T*>(args_.cache.keys);
    const auto* values = static_cast<const T*>(args_.cache.values);
    for (int i = 0; i < block_count_ + kBeside; ++i) {
      const int block = blocks_[smaller(first_block + i, end_block - 1)];
      keys_[i] = keys + args_.cache.keys_at(block, item_.first_head);
      values_[i] = values + args_.cache.values_at(block, item_.first_head);
    }
  }

  // Of the blocks that are worked on together, a head's keys or values; and what is read after them.
  struct Beside {
    const T* now[kBeside];
    const T* next[kBeside];
  };

  // The next head's, else the first head's of the next blocks, else `after`.
  [[gnu::always_inline]] Beside beside(const T* const* blocks, int elements, const T* const* after, int block,
                                       int head) const {
    const bool last_head = head + 1 == item_.heads;
    const bool last_block = block + kBeside >= block_count_;
    const T* const* next = !last_head ? blocks + block : !last_block ? blocks + block + kBeside : after;
    const std::int64_t at = std::int64_t{head} * elements;
    const std::int64_t next_at = last_head ? 0 : at + elements;
    Beside result;
    for (int i = 0; i < kBeside; ++i) {
      result.now[i] = blocks[block + i] + at;
      result.next[i] = next[i] + next_at;
    }
    return result;
  }

  static void prefetch_next(const Beside& blocks, int elements) {
    for (const T* next : blocks.next) {
      for (int e = 0; e < elements; e += 64 / static_cast<int>(sizeof(T))) {
        V::prefetch(next + e);
      }
    }
  }

  // ---- Products ----

  // Sums of so many rows, in registers: loops over them are unrolled.
  template <int kRows>
  struct Sums {
    F of[kRows];

    [[gnu::always_inline]] Sums() {
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
        of[r] = V::zero();
      }
    }
    // The products with every row's factor; `stride` numbers from one row's to the next.
    [[gnu::always_inline]] void add(F numbers, const float* factors, int stride) {
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
        of[r] = V::fma(V::broadcast(factors + r * stride), numbers, of[r]);
      }
    }
  };

  // A chain of the tiles order: sums of the even and of the odd numbers. `count` numbers of pairs of vectors go with as
  // many factors of every row, kStep apart, those of the next row kStride.
  template <int kRows>
  struct Chain {
    Sums<kRows> even;
    Sums<kRows> odd;

    template <int kStep, int kStride>
    [[gnu::always_inline]] void add(const bfloat16* pairs, int count, const float* factors) {
      for (int j = 0; j + 1 < count; j += 2) {
        const typename V::Pairs numbers = V::load_pairs(pairs + j * kLanes);
        even.add(V::even(numbers), factors + j * kStep, kStride);
        odd.add(V::odd(numbers), factors + (j + 1) * kStep, kStride);
      }
      if (count % 2 != 0) {
        even.add(V::even(V::load_pairs(pairs + (count - 1) * kLanes)), factors + (count - 1) * kStep, kStride);
      }
    }
    template <int kStep, int kStride>
    [[gnu::always_inline]] void add_even(const bfloat16* pairs, int count, const float* factors) {
      for (int j = 0; j < count; j += 2) {
        even.add(V::even(V::load_pairs(pairs + j * kLanes)), factors + j * kStep, kStride);
      }
    }
    template <int kStep, int kStride>
    [[gnu::always_inline]] void add_odd(const bfloat16* pairs, int count, const float* factors) {
      for (int j = 0; j + 1 < count; j += 2) {
        odd.add(V::odd(V::load_pairs(pairs + j * kLanes)), factors + (j + 1) * kStep, kStride);
      }
    }
  };

  // ---- Scores ----

  void score() {
    for (int block = 0; block < block_count_; block += kBeside) {
      const int count = smaller(block_count_ - block, kBeside);
      for (int head = 0; head < item_.heads; ++head) {
        const Beside keys = beside(keys_, key_elements_, values_, block, head);
        float* scores = scratch_.scores + place_of(head, 0) * kSplit + block * kKvBlockSize;
        if (first_row_ + 1 == item_.rows) {
          for (int i = 0; i < count; i += 2) {
            score_two(keys.now + i, keys.next + i, q_of(head, first_row_),
                      scores + first_row_ * kSplit + i * kKvBlockSize);
          }
          continue;
        }
        prefetch_next(keys, key_elements_);
        for (int i = 0; i < count; ++i) {
          score_rows<kRowsAtOnce>(first_row_, keys.now[i], scratch_.q + place_of(head, 0), scores + i * kKvBlockSize);
        }
      }
    }
  }

  template <int kRows>
  [[gnu::always_inline]] void score_rows(int row, const T* keys, const float* q, float* scores) const {
    for (; row + kRows <= item_.rows; row += kRows) {
      score_block<kRows>(keys, q + row, scores + row * kSplit);
    }
    if constexpr (kRows > 1) {
      score_rows<kRows / 2>(row, keys, q, scores);
    }
  }

  template <int kRows>
  [[gnu::noinline]] void score_block(const float* keys, const float* q, float* scores) const {
    Sums<kRows> sum;
    for (int i = 0; i < head_size_; ++i) {
      sum.add(V::load(keys + i * kKvBlockSize), q + i * kAttentionRows, 1);
    }
    store_scores(sum.of, scores, kSplit);
  }

  template <int kRows>
  [[gnu::noinline]] void score_block(const bfloat16* keys, const float* q, float* scores) const {
    Sums<kRows> sum;
    for (int i = 0; i < head_size_; i += kTileInputs) {
      const int count = smaller(head_size_ - i, kTileInputs);
      const bfloat16* pairs = keys + i * kKvBlockSize;
      const float* factors = q + i * kAttentionRows;
      Chain<kRows> chain;
      if constexpr (kEvenAndOdd) {
        chain.template add<kAttentionRows, 1>(pairs, count, factors);
      } else {
        chain.template add_even<kAttentionRows, 1>(pairs, count, factors);
        chain.template add_odd<kAttentionRows, 1>(pairs, count, factors);
      }
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
        sum.of[r] = V::add(sum.of[r], V::add(chain.even.of[r], chain.odd.of[r]));
      }
    }
    store_scores(sum.of, scores, kSplit);
  }

  // One row's scores of two blocks.
  [[gnu::noinline]] void score_two(const float* const* keys, const float* const* next, const float* q,
                                   float* scores) const {
    F sum[2] = {V::zero(), V::zero()};
    for (int i = 0; i < head_size_; ++i) {
      for (int b = 0; b < 2; ++b) {
        const int at = i * kKvBlockSize;
        V::prefetch(next[b] + at);
        sum[b] = V::fma(V::broadcast(q + i), V::load(keys[b] + at), sum[b]);
      }
    }
    store_scores(sum, scores, kKvBlockSize);
  }

  [[gnu::noinline]] void score_two(const bfloat16* const* keys, const bfloat16* const* next, const float* q,
                                   float* scores) const {
    F sum[2] = {V::zero(), V::zero()};
    for (int start = 0; start < head_size_; start += kTileInputs) {
      const int end = smaller(start + kTileInputs, head_size_);
      F even[2] = {V::zero(), V::zero()};
      F odd[2] = {V::zero(), V::zero()};
      for (int i = start; i < end; i += 2) {
        for (int b = 0; b < 2; ++b) {
          const int at = i * kKvBlockSize;
          const typename V::Pairs pairs = V::load_pairs(keys[b] + at);
          V::prefetch(next[b] + at);
          even[b] = V::fma(V::broadcast(q + i), V::even(pairs), even[b]);
          if (i + 1 < end) {
            odd[b] = V::fma(V::broadcast(q + i + 1), V::odd(pairs), odd[b]);
          }
        }
      }
      for (int b = 0; b < 2; ++b) {
        sum[b] = V::add(sum[b], V::add(even[b], odd[b]));
      }
    }
    store_scores(sum, scores, kKvBlockSize);
  }

  template <int kCount>
  [[gnu::always_inline]] void store_scores(const F (&sums)[kCount], float* scores, int stride) const {
    const F scale = V::set(scale_);
#pragma GCC unroll 16
    for (int i = 0; i < kCount; ++i) {
      V::store(scores + i * stride, V::mul(sums[i], scale));
    }
  }

  // ---- Probabilities ----

  // Of the scores of one row; m' and l'. Scores beyond the row's context are of what others left there, NaN perhaps.
  void find_probabilities(int row, int place, bool first_split) {
    const int count = counts_[row];
    const int whole = count / kLanes * kLanes;
    float* scores = scratch_.scores + place * kSplit;
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
    (first_split ? highest_ : split_highest_)[place] = highest;
    (first_split ? totals_ : split_totals_)[place] = V::sum(total);
  }

  // ---- Sums of values ----

  void sum_values() {
    for_rows([&](int, int place) {
      for (int i = 0; i < padded_; i += kLanes) {
        V::store(scratch_.split_sums + place * padded_ + i, V::zero());
      }
    });
    for (int block = 0; block < block_count_; block += kBeside) {
      const int seen = counts_[item_.rows - 1] - block * kKvBlockSize;  // by the last row
      for (int head = 0; head < item_.heads; ++head) {
        const Beside values = beside(values_, value_elements_, keys_ + block_count_, block, head);
        if (first_row_ + 1 == item_.rows && seen >= kBeside * kKvBlockSize) {
          add_all_values(values.now, values.next, block, place_of(head, first_row_));
          continue;
        }
        prefetch_next(values, value_elements_);
        int row = first_row_;
        for (int i = 0; i < kBeside && i * kKvBlockSize < seen; i += kChain) {
          const int start = (block + i) * kKvBlockSize;
          while (counts_[row] <= start) {
            ++row;
          }
          add_values_of_rows<kRowsAtOnce>(row, values.now + i, start, place_of(head, 0));
        }
      }
    }
  }

  // The positions of a chain, which begins at `start`.
  template <int kRows>
  [[gnu::always_inline]] void add_values_of_rows(int row, const T* const* values, int start, int first_place) {
    for (; row + kRows <= item_.rows; row += kRows) {
      const float* p = scratch_.scores + (first_place + row) * kSplit + start;
      add_values<kRows>(values, counts_[row] - start, p, scratch_.split_sums + (first_place + row) * padded_);
    }
    if constexpr (kRows > 1) {
      add_values_of_rows<kRows / 2>(row, values, start, first_place);
    }
  }

  // Adds the products of as many positions as each row sees: the first row `count`, every further one one more.
  template <int kRows>
  [[gnu::noinline]] void add_values(const T* const* values, int count, const float* p, float* sums) const {
    for (int i = 0; i < padded_; i += kLanes) {
      add_values_at<kRows>(values, i, count, p, sums + i);
    }
  }

  template <int kRows>
  [[gnu::always_inline]] void add_values_at(const float* const* values, int i, int count, const float* p,
                                            float* sums) const {
    Sums<kRows> sum;
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      sum.of[r] = V::load(sums + r * padded_);
    }
    const int shared = smaller(count, kTileInputs);
    for (int half = 0; half < shared; half += kKvBlockSize) {
      const float* numbers = values[half / kKvBlockSize] + i * kKvBlockSize;
      for (int j = 0; j < smaller(shared - half, kKvBlockSize); ++j) {
        sum.add(V::load(numbers + j * kLanes), p + half + j, kSplit);
      }
    }
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      F all = sum.of[r];
      for (int j = shared; j < smaller(count + r, kTileInputs); ++j) {
        const float* numbers = values[j / kKvBlockSize] + i * kKvBlockSize;
        all = V::fma(V::broadcast(p + r * kSplit + j), V::load(numbers + j % kKvBlockSize * kLanes), all);
      }
      V::store(sums + r * padded_, all);
    }
  }

  template <int kRows>
  [[gnu::always_inline]] void add_values_at(const bfloat16* const* values, int i, int count, const float* p,
                                            float* sums) const {
    Chain<kRows> chain;
    const int shared = smaller(count, kTileInputs);
    const auto for_halves = [&](const auto& add) __attribute__((always_inline)) {
      for (int half = 0; half < shared; half += kKvBlockSize) {
        add(values[half / kKvBlockSize] + i * kKvBlockSize, smaller(shared - half, kKvBlockSize), p + half);
      }
    };
    if constexpr (kEvenAndOdd) {
      for_halves([&](auto... half) __attribute__((always_inline)) { chain.template add<1, kSplit>(half...); });
    } else {
      for_halves([&](auto... half) __attribute__((always_inline)) { chain.template add_even<1, kSplit>(half...); });
      for_halves([&](auto... half) __attribute__((always_inline)) { chain.template add_odd<1, kSplit>(half...); });
    }
    // Unrolled, or the sums would not stay in registers above.
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      F evens = chain.even.of[r];
      F odds = chain.odd.of[r];
      if (r > 0 && shared < kTileInputs) {
        add_further(values, i, shared, smaller(count + r, kTileInputs), p + r * kSplit, evens, odds);
      }
      float* sum = sums + r * padded_;
      V::store(sum, V::add(V::load(sum), V::add(evens, odds)));
    }
  }

  // Of the positions first .. last - 1.
  [[gnu::noinline]] static void add_further(const bfloat16* const* values, int i, int first, int last, const float* p,
                                            F& even, F& odd) {
    for (int j = first; j < last; ++j) {
      const bfloat16* pairs = values[j / kKvBlockSize] + (i + j % kKvBlockSize / 2 * 2) * kKvBlockSize;
      if (j % 2 == 0) {
        even = V::fma(V::broadcast(p + j), V::even(V::load_pairs(pairs)), even);
      } else {
        odd = V::fma(V::broadcast(p + j), V::odd(V::load_pairs(pairs)), odd);
      }
    }
  }

  // For one row, all positions of the blocks.
  [[gnu::noinline]] void add_all_values(const float* const* values, const float* const* next, int block,
                                        int place) const {
    const float* p = scratch_.scores + place * kSplit + block * kKvBlockSize;
    float* sums = scratch_.split_sums + place * padded_;
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
  [[gnu::noinline]] void add_all_values(const bfloat16* const* values, const bfloat16* const* next, int block,
                                        int place) const {
    const float* p = scratch_.scores + place * kSplit + block * kKvBlockSize;
    float* sums = scratch_.split_sums + place * padded_;
    for (int i = 0; i < padded_; i += kLanes) {
      F even[2] = {V::zero(), V::zero()};
      F odd[2] = {V::zero(), V::zero()};
      for (int half = 0; half < kChain; ++half) {
        for (int j = 0; j < kKvBlockSize; j += 2) {
          for (int chain = 0; chain < 2; ++chain) {
            const int b = chain * kChain + half;
            const int at = i * kKvBlockSize + j * kLanes;
            const float* factors = p + b * kKvBlockSize + j;
            const typename V::Pairs pairs = V::load_pairs(values[b] + at);
            V::prefetch(next[b] + at);
            even[chain] = V::fma(V::broadcast(factors), V::even(pairs), even[chain]);
            odd[chain] = V::fma(V::broadcast(factors + 1), V::odd(pairs), odd[chain]);
          }
        }
      }
      const F sum = V::add(V::load(sums + i), V::add(even[0], odd[0]));
      V::store(sums + i, V::add(sum, V::add(even[1], odd[1])));
    }
  }

  // ---- Results ----

  void merge(int place, bool first_split) {
    float* sums = scratch_.sums + place * padded_;
    const float* split_sums = scratch_.split_sums + place * padded_;
    if (first_split) {
      for (int i = 0; i < padded_; i += kLanes) {
        V::store(sums + i, V::load(split_sums + i));
      }
      return;
    }
    const float highest = highest_[place] > split_highest_[place] ? highest_[place] : split_highest_[place];
    const F a = VectorMath<V>::exp(V::set(highest_[place] - highest));
    const F b = VectorMath<V>::exp(V::set(split_highest_[place] - highest));
    highest_[place] = highest;
    totals_[place] = V::largest(V::fma(V::set(totals_[place]), a, V::mul(V::set(split_totals_[place]), b)));
    for (int i = 0; i < padded_; i += kLanes) {
      V::store(sums + i, V::fma(V::load(sums + i), a, V::mul(V::load(split_sums + i), b)));
    }
  }

  // In runs that neither leave the head nor a tile of y.
  template <class Y>
  void store(int head, int row) const {
    const int first_column = (item_.first_head + head) * head_size_;
    const int place = place_of(head, row);
    const F total = V::set(totals_[place]);
    auto* y = static_cast<Y*>(args_.y.data);
    int count = 0;
    for (int i = 0; i < head_size_; i += count) {
      const int column = first_column + i;
      count = smaller(smaller(head_size_ - i, kLanes), kTileInputs - column % kTileInputs);
      const F sum = V::load_first(scratch_.sums + place * padded_ + i, count);
      V::store_first(y + args_.y.place(item_.first_row + row, column), V::div(sum, total), count);
    }
  }

  const CachedAttentionArgs& args_;
  const AttentionItem& item_;
  const int head_size_;
  const int padded_;
  const int key_elements_;  // of a block and head
  const int value_elements_;
  const float scale_;  // of scores
  const AttentionScratch scratch_;
  const std::int32_t* const blocks_;

  // The split: positions of it that each row sees, the first row that sees any; where its blocks are.
  int counts_[kAttentionRows];
  int first_row_ = 0;
  int block_count_ = 0;
  const T* keys_[kBlocks + kBeside];
  const T* values_[kBlocks + kBeside];

  // m and l of every head's row, m' and l' of the split.
  float highest_[kAttentionRows];
  float totals_[kAttentionRows];
  float split_highest_[kAttentionRows];
  float split_totals_[kAttentionRows];
};

template <class V, int kRowsAtOnce, bool kEvenAndOdd>
void run_cached_attention(const CachedAttentionArgs& args, const AttentionItem& item, void* scratch) {
  if (args.cache.dtype == DType::float32) {
    AttentionItemKernel<V, float, kRowsAtOnce, kEvenAndOdd>(args, item, scratch).run();
  } else {
    AttentionItemKernel<V, bfloat16, kRowsAtOnce, kEvenAndOdd>(args, item, scratch).run();
  }
}

}  // namespace
}  // namespace dolly4j
