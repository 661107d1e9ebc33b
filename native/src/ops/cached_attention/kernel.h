// The kernel of cached_attention.h for the vector struct V (cpu/vector_*.h): an item goes through the splits of its
// context, and through each three times: scores of all blocks, probabilities, sums of the values. What is computed with
// a block is in block_products.h.
//
// Bound: at decode, one read of the keys and values: a row of one head does two multiply-adds for every number that is
// read. A thread reaches the memory's speed with long pieces, several beside each other, and every line asked for well
// before its use. So an item of one row has many heads, which are neighbours in a block; it goes through four blocks
// together, two at a time line by line, and with each line asks for the same one of the next head.
//
// In a prompt, the multiply-adds: kRowsAtOnce rows share every load and widening. kEvenAndOdd: see ChainSums.
//
// The sums of one row are the same ones whichever rows and heads it is joined with: every row has its own lanes, and
// each ends where its own context ends.
#pragma once

#include <cstdint>

#include "cpu/vector_math.h"
#include "ops/cached_attention/block_products.h"
#include "ops/cached_attention/line_products.h"
#include "ops/cached_attention/scratch.h"

namespace dolly4j {
namespace {

template <class V, class Products, class T, int kRowsAtOnce, bool kEvenAndOdd>
class AttentionItemKernel {
  using F = typename V::F;
  using Factor = typename Products::Factor;
  using OfBlocks = BlockProducts<V, Products, kEvenAndOdd>;

  static constexpr int kLanes = V::kLanes;
  static constexpr int kBlocks = kSplit / kKvBlockSize;
  static constexpr int kBeside = OfBlocks::kBeside;
  static constexpr int kChain = OfBlocks::kChain;
  static_assert(kBlocks % kBeside == 0, "no blocks leave their split");

 public:
  [[gnu::always_inline]] AttentionItemKernel(const CachedAttentionArgs& args, const AttentionItem& item, void* memory)
      : args_(args),
        item_(item),
        head_size_(args.cache.head_size),
        padded_(AttentionScratch::padded(args.cache.head_size)),
        key_elements_(args.cache.key_elements()),
        value_elements_(args.cache.value_elements()),
        products_(args.cache.head_size),
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
            products_.score_two(keys.now + i, keys.next + i, q + first_row_, q_step,
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
      products_.template score_block<kRows>(keys, q + row, scores + row * kSplit);
    }
    if constexpr (kRows > 1) {
      score_rows<kRows / 2>(row, keys, q, scores);
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

  // Factors of the scores of one row, in their place; m' and l'. Scores beyond the row's context are of what others
  // left there, NaN perhaps.
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
        V::store(split_sums(place) + i, V::zero());
      }
    });
    for (int block = 0; block < block_count_; block += kBeside) {
      const int seen = counts_[item_.rows - 1] - block * kKvBlockSize;  // by the last row
      for (int head = 0; head < item_.heads; ++head) {
        const Beside values = beside(values_, value_elements_, keys_ + block_count_, block, head);
        if (first_row_ + 1 == item_.rows && seen >= kBeside * kKvBlockSize) {
          const int place = place_of(head, first_row_);
          products_.add_all_values(values.now, values.next, probabilities(place, block * kKvBlockSize),
                                   split_sums(place));
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
  [[gnu::always_inline]] float* split_sums(int place) const { return scratch_.split_sums + place * padded_; }

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

  template <int kRows>
  [[gnu::always_inline]] void add_values(int row, const T* const* values, int start, int count, int first_place) const {
    const int place = first_place + row;
    products_.template add_values<kRows>(values, count, probabilities(place, start), split_sums(place));
  }

  // ---- Results ----

  void merge(int place, bool first_split) {
    float* sums = scratch_.sums + place * padded_;
    const float* others = split_sums(place);
    if (first_split) {
      for (int i = 0; i < padded_; i += kLanes) {
        V::store(sums + i, V::load(others + i));
      }
      return;
    }
    const float highest = highest_[place] > split_highest_[place] ? highest_[place] : split_highest_[place];
    const F a = VectorMath<V>::exp(V::set(highest_[place] - highest));
    const F b = VectorMath<V>::exp(V::set(split_highest_[place] - highest));
    highest_[place] = highest;
    totals_[place] = V::largest(V::fma(V::set(totals_[place]), a, V::mul(V::set(split_totals_[place]), b)));
    for (int i = 0; i < padded_; i += kLanes) {
      V::store(sums + i, V::fma(V::load(sums + i), a, V::mul(V::load(others + i), b)));
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
  const OfBlocks products_;
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
