#include "ops/cached_attention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>

#include "conformance.h"
#include "cpu/flush_denormals.h"
#include "cpu/vector_generic.h"
#include "every_isa.h"
#include "ops/attention_items.h"
#include "ops/cached_attention/kernel.h"
#include "packed_cache.h"
#include "random.h"

namespace dolly4j::test {
namespace {

int blocks_of(const RaggedBatch& batch) {
  int last = 0;
  for (int s = 0; s < batch.sequences; s++) {
    const std::int32_t* table = batch.block_tables + s * batch.block_table_stride;
    last = std::max(last, *std::max_element(table, table + (batch.context_lengths[s] + 15) / 16));
  }
  return last + 1;
}

using Items = std::vector<AttentionItem>;
using Cut = std::function<Items(const RaggedBatch&, int heads)>;

Items as_planned(const RaggedBatch& batch, int heads) {
  AttentionItems items(heads, 1, batch.rows);
  items.plan(batch);
  return items.items();
}

// Items of up to so many rows and heads.
Cut into(int item_rows, int item_heads) {
  return [=](const RaggedBatch& batch, int heads) {
    Items items;
    for (int s = 0; s < batch.sequences; s++) {
      for (int row = batch.sequence_starts[s]; row < batch.sequence_starts[s + 1]; row += item_rows) {
        for (int head = 0; head < heads; head += item_heads) {
          items.push_back({s, head, std::min(item_heads, heads - head), row,
                           std::min(item_rows, batch.sequence_starts[s + 1] - row)});
        }
      }
    }
    return items;
  };
}

// The kernel as an implementation of paged_attention.h.
Implementation<PagedAttentionArgs> kernel(const CachedAttention& attention, const Cut& cut = as_planned) {
  return [=](const PagedAttentionArgs& args) {
    const RaggedBatch& batch = args.batch;
    const int width = args.heads * args.head_size;
    PackedCache cache(blocks_of(batch), args.heads, args.head_size, args.keys.dtype);
    cache.pack(args.keys, args.values);
    std::vector<float> q;
    for (std::int64_t i = 0; i < std::int64_t{batch.rows} * width; i++) {
      q.push_back(args.q.at(i));
    }
    Buffer tiles(std::vector<float>(activation_elements(batch.rows, width), 0), args.y.dtype);
    const FlushDenormals flush;
    const Activations y{tiles.output().data, args.y.dtype, width};
    for (const AttentionItem& item : cut(batch, args.heads)) {
      Buffer scratch(attention.scratch_bytes(args.head_size) / 4, DType::float32);
      attention.run({q.data(), cache.view(), y, batch}, item, scratch.output().data);
    }
    for (int row = 0; row < batch.rows; row++) {
      for (int i = 0; i < width; i++) {
        args.y.set(std::int64_t{row} * width + i, tiles.at(y.place(row, i)));
        tiles.set(y.place(row, i), 0);
      }
    }
    EXPECT_EQ(tiles.floats(), std::vector<float>(tiles.count(), 0)) << "written beside the rows' numbers";
  };
}

Implementation<PagedAttentionArgs> kernel(Isa isa, const Cut& cut = as_planned) {
  return kernel(cached_attention(isa), cut);
}

// ---- The arithmetic that cached_attention.h states, in scalar loops ----

float stated_exp(float x) {
  if (x < -87.33F) {
    return 0;
  }
  const float n = std::nearbyint(x * 0x1.715476p+0F);
  float r = std::fma(-n, 0x1.62e4p-1F, x);
  r = std::fma(-n, 0x1.7f7d1cp-20F, r);
  float p = 1.0F / 5040;
  for (float coefficient : {1.0F / 720, 1.0F / 120, 1.0F / 24, 1.0F / 6, 0.5F, 1.0F, 1.0F}) {
    p = std::fma(p, r, coefficient);
  }
  return p * std::ldexp(1.0F, static_cast<int>(n));
}

// sum of x(i) * y(i) for i < count.
template <class X, class Y>
float stated_sum(int count, DType dtype, const X& x, const Y& y) {
  float sum = 0;
  if (dtype == DType::float32) {
    for (int i = 0; i < count; i++) {
      sum = std::fma(x(i), y(i), sum);
    }
    return sum;
  }
  for (int chain = 0; chain < count; chain += 32) {
    float part[2] = {0, 0};
    for (int i = chain; i < std::min(chain + 32, count); i++) {
      part[i % 2] = std::fma(x(i), y(i), part[i % 2]);
    }
    sum = sum + (part[0] + part[1]);
  }
  return sum;
}

void stated_attention_of(const PagedAttentionArgs& args, int sequence, int row, int head) {
  const DType dtype = args.keys.dtype;
  const int head_size = args.head_size;
  const int context = args.batch.positions[row] + 1;
  const std::int64_t q = (std::int64_t{row} * args.heads + head) * head_size;
  const auto cached = [&](int position) {
    return (args.batch.slot(sequence, position) * args.heads + head) * head_size;
  };
  const float scale = 1.0F / std::sqrt(static_cast<float>(head_size));
  float m = 0;
  float l = 0;
  std::vector<float> o(head_size);
  for (int start = 0; start < context; start += kSplit) {
    const int count = std::min(context - start, kSplit);
    std::vector<float> p;
    for (int j = 0; j < count; j++) {
      const std::int64_t key = cached(start + j);
      p.push_back(scale * stated_sum(
                              head_size, dtype, [&](int i) { return args.q.at(q + i); },
                              [&](int i) { return args.keys.at(key + i); }));
    }
    const float highest = *std::max_element(p.begin(), p.end());
    float lanes[16] = {};
    for (int j = 0; j < count; j++) {
      p[j] = stated_exp(p[j] - highest);
      p[j] = dtype == DType::float32 ? p[j] : to_float(to_bfloat16(p[j]));
      lanes[j % 16] += p[j];
    }
    for (int step : {8, 4, 2, 1}) {
      for (int i = 0; i < step; i++) {
        lanes[i] += lanes[i + step];
      }
    }
    const float together = start == 0 ? highest : std::max(m, highest);
    const float a = start == 0 ? 0 : stated_exp(m - together);
    const float b = stated_exp(highest - together);
    l = start == 0 ? lanes[0] : std::fma(l, a, lanes[0] * b);
    for (int i = 0; i < head_size; i++) {
      const float sum = stated_sum(
          count, dtype, [&](int j) { return p[j]; }, [&](int j) { return args.values.at(cached(start + j) + i); });
      o[i] = start == 0 ? sum : std::fma(o[i], a, sum * b);
    }
    m = together;
  }
  for (int i = 0; i < head_size; i++) {
    args.y.set(q + i, o[i] / l);
  }
}

void stated_attention(const PagedAttentionArgs& args) {
  const FlushDenormals flush;
  for (int s = 0; s < args.batch.sequences; s++) {
    for (int t = args.batch.sequence_starts[s]; t < args.batch.sequence_starts[s + 1]; t++) {
      for (int h = 0; h < args.heads; h++) {
        stated_attention_of(args, s, t, h);
      }
    }
  }
}

// ---- Comparison of bits ----

void expect_same_bits(const Buffer& actual, const Buffer& expected) {
  ASSERT_EQ(actual.count(), expected.count());
  const auto bytes = static_cast<std::size_t>(actual.count() * size_of(actual.dtype()));
  if (std::memcmp(actual.input().data, expected.input().data, bytes) == 0) {
    return;
  }
  for (std::int64_t i = 0; i < actual.count(); i++) {
    ASSERT_EQ(actual.at(i), expected.at(i)) << "number " << i;
  }
  FAIL() << "zeros of another sign, or NaN";
}

using CachedAttentionOn = EveryIsa;
INSTANTIATE_TEST_SUITE_P(Isas, CachedAttentionOn, every_isa(), isa_name);

TEST_P(CachedAttentionOn, fitsTheOracle) {
  const Conformance result = check_paged_attention(kernel(GetParam()), Device::cpu, [](const PagedAttentionShape& s) {
    return s.q == s.cache;  // as the contract has it
  });
  EXPECT_TRUE(result.passed()) << result;
}

// Bits of the kernel and of the stated arithmetic for a shape, all types.
void expect_stated_bits(const CachedAttention& attention, PagedAttentionShape shape) {
  for (DType dtype : {DType::float32, DType::bfloat16}) {
    for (DType result : {DType::float32, DType::bfloat16}) {
      shape.q = shape.cache = dtype;
      shape.y = result;
      SCOPED_TRACE(describe(shape));
      const PagedAttentionCase test(shape, static_cast<std::uint64_t>(shape.head_size));
      Buffer expected(0, result);
      expected = Buffer(std::int64_t{test.args(expected).batch.rows} * shape.heads * shape.head_size, result);
      Buffer actual = expected;
      stated_attention(test.args(expected));
      kernel(attention)(test.args(actual));
      expect_same_bits(actual, expected);
    }
  }
}

TEST_P(CachedAttentionOn, givesTheStatedBitsForEveryContextLength) {
  for (int context : {1, 15, 16, 17, 255, 256, 257, 600, 1500}) {
    for (int head_size : {1, 2, 15, 16, 20, 24, 32, 35, 46, 64, 80, 96, 128, 256}) {
      for (int rows : {1, 9}) {
        if (rows <= context) {
          expect_stated_bits(cached_attention(GetParam()), {{{context - rows, rows}}, 2, head_size, 1, {}, {}, {}});
        }
      }
    }
  }
}

TEST_P(CachedAttentionOn, givesTheStatedBitsForRaggedBatches) {
  const std::vector<SequenceShape> batch = {{31, 1}, {0, 5}, {250, 37}, {7, 2}, {511, 3}, {0, 1}, {1000, 1}};
  for (int head_size : {15, 20, 35, 64, 80}) {
    for (float deviation : {1.0F, 30.0F, 1e-36F}) {
      expect_stated_bits(cached_attention(GetParam()), {batch, 3, head_size, deviation, {}, {}, {}});
    }
  }
}

TEST_P(CachedAttentionOn, doesNotDependOnTheRowsAndHeadsOfAnItem) {
  for (DType dtype : {DType::float32, DType::bfloat16}) {
    for (int head_size : {24, 35}) {
      const int heads = 5;
      const PagedAttentionShape shape{
          {{240, 40}, {0, 21}, {530, 1}, {79, 1}}, heads, head_size, 1, dtype, dtype, dtype};
      const PagedAttentionCase test(shape, 1);
      Buffer single(std::int64_t{63} * heads * head_size, dtype);
      kernel(GetParam(), into(1, 1))(test.args(single));
      for (int rows = 1; rows <= kAttentionRows; rows++) {
        for (int item_heads = 1; item_heads <= std::min(heads, kAttentionRows / rows); item_heads++) {
          SCOPED_TRACE(testing::Message() << rows << " rows of " << item_heads << " heads of " << head_size);
          Buffer joined(single.count(), dtype);
          kernel(GetParam(), into(rows, item_heads))(test.args(joined));
          expect_same_bits(joined, single);
        }
      }
    }
  }
}

// On every CPU what multiplies a line's pairs at once: the same, number by number.
struct PairProducts {
  using F = Generic::F;
  using Pairs = Generic::Pairs;
  using Factor = std::uint32_t;

  static void store(std::uint32_t* to, int i, F x) {
    float numbers[16];
    Generic::store(numbers, x);
    for (int j = 0; j < 16; j++) {
      const std::uint32_t bits = to_bfloat16(numbers[j]).bits;
      std::uint32_t& pair = to[(i + j) / 4 * 2 + j % 2];
      pair = j % 4 < 2 ? bits << 16 : pair | bits;
    }
  }
  static int place(int line) { return line; }
  static F add(F sum, Pairs line, const std::uint32_t* factors, int) {
    const F second = Generic::set(to_float(bfloat16{static_cast<std::uint16_t>(*factors)}));
    return Generic::fma(second, Generic::even(line), add_first(sum, line, factors));
  }
  static F add_first(F sum, Pairs line, const std::uint32_t* factors) {
    const F first = Generic::set(to_float(bfloat16{static_cast<std::uint16_t>(*factors >> 16)}));
    return Generic::fma(first, Generic::odd(line), sum);
  }
};

TEST(CachedAttentionByPairs, givesTheStatedBits) {
  const CachedAttention attention{run_cached_attention<Generic, PairProducts, 8, true>,
                                  cached_attention(Isa::generic).scratch_bytes};
  const std::vector<SequenceShape> batch = {{31, 1}, {0, 5}, {250, 37}, {7, 2}, {511, 3}, {0, 1}, {1000, 1}};
  for (int head_size : {2, 20, 35, 80}) {
    expect_stated_bits(attention, {batch, 3, head_size, 1, {}, {}, {}});
  }
}

// Q, K and V of a whole sequence: [length, heads, head_size] each.
struct Sequence {
  Buffer q;
  Buffer k;
  Buffer v;
};

constexpr int kHeads = 2;

Sequence random_sequence(int length, int head_size, DType dtype, std::uint64_t seed) {
  Random random(seed);
  const std::int64_t count = std::int64_t{length} * kHeads * head_size;
  return {{random.normals(count), dtype}, {random.normals(count), dtype}, {random.normals(count), dtype}};
}

// Rows of the sequence that the shape says, over blocks given out by the seed; `others` is in every slot that is not
// the sequence's yet.
Buffer attend(Isa isa, const Sequence& sequence, const SequenceShape& shape, int head_size, std::uint64_t block_seed,
              float others) {
  const int width = kHeads * head_size;
  const DType dtype = sequence.q.dtype();
  const OwnedBatch owned({shape}, block_seed);
  const RaggedBatch batch = owned.view();
  Buffer keys(std::vector<float>(std::int64_t{owned.blocks()} * kKvBlockSize * width, others), dtype);
  Buffer values = keys;
  for (int position = 0; position < batch.context_lengths[0]; position++) {
    for (int i = 0; i < width; i++) {
      keys.set(batch.slot(0, position) * width + i, sequence.k.at(position * width + i));
      values.set(batch.slot(0, position) * width + i, sequence.v.at(position * width + i));
    }
  }
  Buffer q(std::int64_t{shape.rows} * width, dtype);
  for (std::int64_t i = 0; i < q.count(); i++) {
    q.set(i, sequence.q.at(std::int64_t{shape.cached} * width + i));
  }
  Buffer y(q.count(), dtype);
  kernel(isa)({q.input(), keys.input(), values.input(), y.output(), batch, kHeads, head_size});
  return y;
}

TEST_P(CachedAttentionOn, chunksAndSingleTokensGiveTheRowsOfTheWholePrompt) {
  for (DType dtype : {DType::float32, DType::bfloat16}) {
    for (int head_size : {15, 80}) {
      const int length = 290;
      const Sequence sequence = random_sequence(length, head_size, dtype, 2);
      const std::vector<float> whole = attend(GetParam(), sequence, {0, length}, head_size, 2, std::nanf("")).floats();
      for (int chunk : {1, 5, 16, 100, 256}) {
        SCOPED_TRACE(chunk);
        std::vector<float> rows;
        for (int first = 0; first < length; first += chunk) {
          const SequenceShape shape{first, std::min(chunk, length - first)};
          const auto seed = static_cast<std::uint64_t>(first);
          const std::vector<float> y = attend(GetParam(), sequence, shape, head_size, seed, std::nanf("")).floats();
          rows.insert(rows.end(), y.begin(), y.end());
        }
        EXPECT_EQ(rows, whole);
      }
    }
  }
}

TEST_P(CachedAttentionOn, seesNothingOfWhatOtherSequencesLeft) {
  for (DType dtype : {DType::float32, DType::bfloat16}) {
    for (int length : {1, 2, 17, 31, 49, 273}) {
      const Sequence sequence = random_sequence(length, 20, dtype, 3);
      const SequenceShape shape{std::max(0, length - 11), std::min(length, 11)};
      const Buffer expected = attend(GetParam(), sequence, shape, 20, 3, 0);
      for (float others : {std::nanf(""), HUGE_VALF, -HUGE_VALF, 3e38F}) {
        expect_same_bits(attend(GetParam(), sequence, shape, 20, 3, others), expected);
      }
    }
  }
}

TEST_P(CachedAttentionOn, doesNotDependOnTheBlocks) {
  const Sequence sequence = random_sequence(300, 24, DType::bfloat16, 4);
  const Buffer expected = attend(GetParam(), sequence, {290, 10}, 24, 4, 0);
  for (std::uint64_t seed : {5U, 6U, 7U}) {
    expect_same_bits(attend(GetParam(), sequence, {290, 10}, 24, seed, 0), expected);
  }
}

TEST_P(CachedAttentionOn, passesOnANaNToTheRowsThatSeeItAndNoOthers) {
  for (DType dtype : {DType::float32, DType::bfloat16}) {
    Sequence sequence = random_sequence(20, 16, dtype, 5);
    for (int i = 0; i < 16; i++) {
      sequence.k.set((17 * kHeads + 1) * 16 + i, std::nanf(""));
    }
    const Buffer y = attend(GetParam(), sequence, {10, 10}, 16, 5, 0);
    for (std::int64_t i = 0; i < y.count(); i++) {
      const bool sees = i / (kHeads * 16) + 10 >= 17 && i / 16 % kHeads == 1;
      EXPECT_EQ(std::isnan(y.at(i)), sees) << i;
    }
  }
}

}  // namespace
}  // namespace dolly4j::test
