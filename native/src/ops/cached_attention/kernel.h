// The kernel of cached_attention.h for the vector struct V (cpu/vector_*.h): an item goes through the splits of its
// context, and through each three times: scores of all blocks, probabilities, sums of the values.
//
// Bound: at decode, one read of the keys and values: a row of one head does two multiply-adds for every number that is
// read. A thread reaches the memory's speed with long pieces, several beside each other, and every line asked for well
// before its use. So an item of one row has many heads, which are neighbours in a block; it goes through four blocks
// together, two at a time line by line, and with each line asks for the same one of the next head.
//
// In a prompt, the multiply-adds: kRowsAtOnce rows share every load and widening. They take the even and the odd numbers
// of a block together, or where twice as many sums do not stay in registers, its even ones first.
//
// The sums of one row are the same ones whichever rows and heads it is joined with: every row has its own lanes, and
// each ends where its own context ends.
#pragma once

#include <cstdint>

#include "cpu/vector_math.h"
#include "ops/cached_attention/scratch.h"

namespace dolly4j {
namespace {

// How a line (packed_kv_cache.h) is multiplied by factors, which a Factor has of two numbers at a time, or of one.
//
//   store(to, i, x)            16 numbers, from i on, become factors of the row `to`
//   place(line)                where in the row the factors of a line begin
//   add(sum, line, f, step)    sum + first * its factor + second * its factor; factors are `step` Factors apart
//   add_first(sum, line, f)    sum + first * its factor
//
// The first of a pair is the upper half of its word, V::odd, the second the lower one, V::even: both are even numbers of
// the chain, or both are odd ones.
template <class V>
struct FmaProducts {
  using F = typename V::F;
  using Pairs = typename V::Pairs;
  using Factor = float;

  static void store(float* to, int i, F x) { V::store(to + i, x); }
  [[gnu::always_inline]] static int place(int line) { return line / 2 * 4 + line % 2; }
  [[gnu::always_inline]] static F add(F sum, Pairs line, const float* factors, int step) {
    return V::fma(V::broadcast(factors + 2 * step), V::even(line), add_first(sum, line, factors));
  }
  [[gnu::always_inline]] static F add_first(F sum, Pairs line, const float* factors) {
    return V::fma(V::broadcast(factors), V::odd(line), sum);
  }
};

template <class V, class Products, class T, int kRowsAtOnce, bool kEvenAndOdd>
class AttentionItemKernel {
  using F = typename V::F;
  using Pairs = typename V::Pairs;
  using Factor = typename Products::Factor;

  static constexpr int kLanes = V::kLanes;
  static constexpr int kLine = PackedKvCache::kLine;
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
    pack_q();
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

  // Makes factors of q: of one row behind each other, of several rows each factor of all rows beside each other.
  void pack_q() {
    const int head_size = head_size_;
    const int rows = item_.rows;
    const std::int64_t width = std::int64_t{args_.cache.heads} * head_size;
    const float* first = args_.q + item_.first_row * width + std::int64_t{item_.first_head} * head_size;
    auto* q = reinterpret_cast<Factor*>(scratch_.q);
    for (int row = 0; row < rows; ++row) {
      for (int i = 0; i < item_.heads * head_size; i += kLanes) {
        V::prefetch(first + row * width + i);
      }
    }
    for (int head = 0; head < item_.heads; ++head) {
      for (int row = 0; row < rows; ++row) {
        const float* from = first + row * width + head * head_size;
        // Of several rows first where the sums of a split will be.
        Factor* factors = rows == 1 ? q + head * padded_ : reinterpret_cast<Factor*>(scratch_.split_sums);
        for (int i = 0; i < head_size; i += kLanes) {
          Products::store(factors, i, V::load_first(from + i, smaller(head_size - i, kLanes)));
        }
        if (rows > 1) {
          Factor* to = q + place_of(head, row);
          for (const Factor* end = factors + Products::place(padded_ / 2); factors < end;
               factors += 4, to += 4 * kAttentionRows) {
            for (int i = 0; i < 4; ++i) {
              to[i * kAttentionRows] = factors[i];
            }
          }
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

  // Sums of so many rows, in registers: loops over them are unrolled. `stride` factors from one row's to the next.
  template <int kRows>
  struct Sums {
    F of[kRows];

    [[gnu::always_inline]] Sums() {
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
        of[r] = V::zero();
      }
    }
    [[gnu::always_inline]] void add(F numbers, const Factor* factors, int stride) {
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
        of[r] = V::fma(V::broadcast(factors + r * stride), numbers, of[r]);
      }
    }
    [[gnu::always_inline]] void add(Pairs line, const Factor* factors, int step, int stride) {
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
        of[r] = Products::add(of[r], line, factors + r * stride, step);
      }
    }
    [[gnu::always_inline]] void add_first(Pairs line, const Factor* factors, int stride) {
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
        of[r] = Products::add_first(of[r], line, factors + r * stride);
      }
    }
  };

  // A chain of the tiles order, or a part of it: the sums of the even numbers and of the odd ones.
  template <int kRows>
  struct Chain {
    Sums<kRows> even;
    Sums<kRows> odd;

    // The first `count` numbers of these lines.
    [[gnu::always_inline]] void add(const bfloat16* lines, int count, const Factor* factors, int step, int stride) {
      if constexpr (kEvenAndOdd) {
        for (int line = 0; line < count / 4 * 2; line += 2) {
          add_line(even, lines, line, factors, step, stride);
          add_line(odd, lines, line + 1, factors, step, stride);
        }
      } else {
        for (int line = 0; line < count / 4 * 2; line += 2) {
          add_line(even, lines, line, factors, step, stride);
        }
        for (int line = 1; line < count / 4 * 2; line += 2) {
          add_line(odd, lines, line, factors, step, stride);
        }
      }
      if (count % 4 != 0) {
        add_rest(lines, count, factors, step, stride);
      }
    }

    // The last one to three of `count`, which do not fill two lines.
    [[gnu::always_inline]] void add_rest(const bfloat16* lines, int count, const Factor* factors, int step,
                                         int stride) {
      const int line = count / 4 * 2;
      const int rest = count % 4;
      if (rest == 3) {
        add_line(even, lines, line, factors, step, stride);
      } else {
        even.add_first(V::load_pairs(lines + line * kLine), factors + Products::place(line) * step, stride);
      }
      if (rest > 1) {
        odd.add_first(V::load_pairs(lines + (line + 1) * kLine), factors + Products::place(line + 1) * step, stride);
      }
    }

   private:
    [[gnu::always_inline]] static void add_line(Sums<kRows>& sums, const bfloat16* lines, int line,
                                                const Factor* factors, int step, int stride) {
      sums.add(V::load_pairs(lines + line * kLine), factors + Products::place(line) * step, step, stride);
    }
  };

  // ---- Scores ----

  void score() {
    const int q_step = item_.rows == 1 ? 1 : kAttentionRows;
    for (int block = 0; block < block_count_; block += kBeside) {
      const int count = smaller(block_count_ - block, kBeside);
      for (int head = 0; head < item_.heads; ++head) {
        const Beside keys = beside(keys_, key_elements_, values_, block, head);
        const Factor* q = reinterpret_cast<Factor*>(scratch_.q) + head * (item_.rows == 1 ? padded_ : item_.rows);
        float* scores = scratch_.scores + place_of(head, 0) * kSplit + block * kKvBlockSize;
        if (first_row_ + 1 == item_.rows) {
          for (int i = 0; i < count; i += 2) {
            score_two(keys.now + i, keys.next + i, q + first_row_, q_step,
                      scores + first_row_ * kSplit + i * kKvBlockSize);
          }
          continue;
        }
        prefetch_next(keys, key_elements_);
        for (int i = 0; i < count; ++i) {
          score_rows<kRowsAtOnce>(first_row_, keys.now[i], q, scores + i * kKvBlockSize);
        }
      }
    }
  }

  template <int kRows>
  [[gnu::always_inline]] void score_rows(int row, const T* keys, const Factor* q, float* scores) const {
    for (; row + kRows <= item_.rows; row += kRows) {
      score_block<kRows>(keys, q + row, scores + row * kSplit);
    }
    if constexpr (kRows > 1) {
      score_rows<kRows / 2>(row, keys, q, scores);
    }
  }

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

  template <int kCount>
  [[gnu::always_inline]] void store_scores(const F (&sums)[kCount], float* scores, int stride) const {
    const F scale = V::set(scale_);
#pragma GCC unroll 16
    for (int i = 0; i < kCount; ++i) {
      V::store(scores + i * stride, V::mul(sums[i], scale));
    }
  }

  // ---- Probabilities ----

  [[gnu::always_inline]] static F rounded(F x) {
    if constexpr (sizeof(T) == sizeof(float)) {
      return x;
    } else {
      return V::round_to_bfloat16(x);
    }
  }

  // Factors of the scores of one row, in their place; m' and l'. Scores beyond the row's context are of what others left
  // there, NaN perhaps.
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
      const F p = rounded(VectorMath<V>::exp(V::sub(V::load(scores + j), V::set(highest))));
      Products::store(reinterpret_cast<Factor*>(scores), j, p);
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
          add_chain(row, values.now + i, start, place_of(head, 0));
        }
      }
    }
  }

  // The factors of a row's probabilities from a position on, which is a multiple of 4.
  [[gnu::always_inline]] const Factor* probabilities(int place, int position) const {
    return reinterpret_cast<const Factor*>(scratch_.scores + place * kSplit) + Products::place(position / 2);
  }

  // The positions of a chain, which begins at `start`, for the rows from `row` on: of which the first ones may see only
  // some, the others see all.
  void add_chain(int row, const T* const* values, int start, int first_place) {
    for (; row < item_.rows && counts_[row] - start < kTileInputs; ++row) {
      add_values<1>(row, values, start, counts_[row] - start, first_place);
    }
    add_values_of_rows<kRowsAtOnce>(row, values, start, first_place);
  }

  template <int kRows>
  [[gnu::always_inline]] void add_values_of_rows(int row, const T* const* values, int start, int first_place) {
    for (; row + kRows <= item_.rows; row += kRows) {
      add_values<kRows>(row, values, start, kTileInputs, first_place);
    }
    if constexpr (kRows > 1) {
      add_values_of_rows<kRows / 2>(row, values, start, first_place);
    }
  }

  // The products of the first `count` positions.
  template <int kRows>
  [[gnu::noinline]] void add_values(int row, const T* const* values, int start, int count, int first_place) const {
    const Factor* p = probabilities(first_place + row, start);
    float* sums = scratch_.split_sums + (first_place + row) * padded_;
    for (int i = 0; i < padded_; i += kLanes) {
      add_values_at<kRows>(values, i, count, p, sums + i);
    }
  }

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

  // For one row, all positions of the blocks.
  [[gnu::noinline]] void add_all_values(const float* const* values, const float* const* next, int block,
                                        int place) const {
    const Factor* p = probabilities(place, block * kKvBlockSize);
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
    const Factor* p = probabilities(place, block * kKvBlockSize);
    float* sums = scratch_.split_sums + place * padded_;
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

template <class V, class Products, int kRowsAtOnce, bool kEvenAndOdd>
void run_cached_attention(const CachedAttentionArgs& args, const AttentionItem& item, void* scratch) {
  if (args.cache.dtype == DType::float32) {
    AttentionItemKernel<V, FmaProducts<V>, float, kRowsAtOnce, kEvenAndOdd>(args, item, scratch).run();
  } else {
    AttentionItemKernel<V, Products, bfloat16, kRowsAtOnce, kEvenAndOdd>(args, item, scratch).run();
  }
}

}  // namespace
}  // namespace dolly4j
