#include "ops/rotary_append.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "conformance.h"
#include "cpu/flush_denormals.h"
#include "every_isa.h"
#include "packed_cache.h"
#include "random.h"

namespace dolly4j::test {
namespace {

// cos or sin of the angles of rotary.h, [positions, rotary_dims / 2].
std::vector<float> table(double (*function)(double), int positions, const float* frequencies, int rotary_dims) {
  std::vector<float> numbers;
  for (int position = 0; position < positions; position++) {
    for (int i = 0; i < rotary_dims / 2; i++) {
      const float angle = static_cast<float>(position) * frequencies[i];
      numbers.push_back(static_cast<float>(function(static_cast<double>(angle))));
    }
  }
  return numbers;
}

double cosine(double angle) { return std::cos(angle); }
double sine(double angle) { return std::sin(angle); }

std::vector<std::int32_t> sequences_of_rows(const RaggedBatch& batch) {
  std::vector<std::int32_t> sequences;
  for (int s = 0; s < batch.sequences; s++) {
    sequences.resize(batch.sequence_starts[s + 1], s);
  }
  return sequences;
}

// The kernel as an implementation of rotary.h: every row is of a sequence of its own, with one block.
Implementation<RotaryArgs> as_rotary(Isa isa) {
  return [=](const RotaryArgs& args) {
    const int width = args.heads * args.head_size;
    const int stride = *std::max_element(args.positions, args.positions + args.rows) / kKvBlockSize + 1;
    std::vector<std::int32_t> starts = {0};
    std::vector<std::int32_t> context_lengths;
    std::vector<std::int32_t> tables(std::int64_t{args.rows} * stride, 1 << 30);
    std::vector<float> qkv;
    for (int row = 0; row < args.rows; row++) {
      starts.push_back(row + 1);
      context_lengths.push_back(args.positions[row] + 1);
      tables[std::int64_t{row} * stride + args.positions[row] / kKvBlockSize] = row;
      qkv.insert(qkv.end(), args.q + row * args.input_stride, args.q + row * args.input_stride + width);
      qkv.insert(qkv.end(), args.k + row * args.input_stride, args.k + row * args.input_stride + width);
      qkv.resize(qkv.size() + width, 0);
    }
    RaggedBatch batch{};
    batch.rows = args.rows;
    batch.sequences = args.rows;
    batch.sequence_starts = starts.data();
    batch.context_lengths = context_lengths.data();
    batch.positions = args.positions;
    batch.block_tables = tables.data();
    batch.block_table_stride = stride;
    const std::vector<std::int32_t> sequences = sequences_of_rows(batch);
    const int positions = stride * kKvBlockSize;
    const std::vector<float> cosines = table(cosine, positions, args.inverse_frequencies, args.rotary_dims);
    const std::vector<float> sines = table(sine, positions, args.inverse_frequencies, args.rotary_dims);

    PackedCache cache(args.rows, args.heads, args.head_size, args.k_out.dtype);
    Buffer q(std::int64_t{args.rows} * width, DType::float32);
    const FlushDenormals flush;
    rotary_append(isa)({qkv.data(), cosines.data(), sines.data(), static_cast<float*>(q.output().data), cache.view(),
                        batch, sequences.data(), args.rotary_dims},
                       0, args.heads);
    Buffer keys(std::int64_t{args.rows} * kKvBlockSize * width, args.k_out.dtype);
    Buffer values = keys;
    cache.unpack(keys.output(), values.output());
    for (std::int64_t row = 0; row < args.rows; row++) {
      for (int i = 0; i < width; i++) {
        args.q_out.set(row * width + i, q.at(row * width + i));
        const std::int64_t slot = row * kKvBlockSize + args.positions[row] % kKvBlockSize;
        args.k_out.set(row * width + i, keys.at(slot * width + i));
      }
    }
  };
}

// The kernel as an implementation of kv_append.h, without a rotation.
Implementation<KvAppendArgs> as_kv_append(Isa isa) {
  return [=](const KvAppendArgs& args) {
    const RaggedBatch& batch = args.batch;
    const int width = args.heads * args.head_size;
    std::vector<float> qkv;
    for (int row = 0; row < batch.rows; row++) {
      qkv.resize(qkv.size() + width, 0);
      qkv.insert(qkv.end(), args.k + row * args.k_stride, args.k + row * args.k_stride + width);
      qkv.insert(qkv.end(), args.v + row * args.v_stride, args.v + row * args.v_stride + width);
    }
    int blocks = 0;
    for (int s = 0; s < batch.sequences; s++) {
      for (int position = 0; position < batch.context_lengths[s]; position++) {
        blocks = std::max(blocks, static_cast<int>(batch.slot(s, position) / kKvBlockSize) + 1);
      }
    }
    PackedCache cache(blocks, args.heads, args.head_size, args.keys.dtype);
    cache.pack({args.keys.data, args.keys.dtype}, {args.values.data, args.values.dtype});
    std::vector<float> q(qkv.size() / 3);
    const std::vector<std::int32_t> sequences = sequences_of_rows(batch);
    rotary_append(isa)({qkv.data(), nullptr, nullptr, q.data(), cache.view(), batch, sequences.data(), 0}, 0,
                       args.heads);
    cache.unpack(args.keys, args.values);
  };
}

// ---- The arithmetic of rotary_append.h and the places of packed_kv_cache.h, in scalar loops ----

void stated_append(const RotaryAppendArgs& args) {
  const FlushDenormals flush;
  const PackedKvCache& cache = args.cache;
  const bool wide = cache.dtype == DType::float32;
  const int size = cache.head_size;
  const int half = args.rotary_dims / 2;
  const std::int64_t key_size = (size + 3) / 4 * 4;
  const std::int64_t value_size = (size + 15) / 16 * 16;
  const Output keys{cache.keys, cache.dtype};
  const Output values{cache.values, cache.dtype};
  // In a line of four: 2, 0 beside each other, then 3, 1.
  const auto in_lines = [](std::int64_t i, std::int64_t lane) {
    return i / 4 * 64 + i % 2 * 32 + lane * 2 + (i % 4 < 2 ? 1 : 0);
  };
  const auto rotated = [&](const float* in, int position, int i) {
    if (i >= args.rotary_dims) {
      return in[i];
    }
    const int angle = position * half + i % half;
    const float c = args.cosines[angle];
    const float s = args.sines[angle];
    return i < half ? std::fma(in[i], c, -(in[i + half] * s)) : std::fma(in[i], c, in[i - half] * s);
  };
  for (int row = 0; row < args.batch.rows; row++) {
    const int position = args.batch.positions[row];
    const std::int64_t slot = args.batch.slot(args.row_sequences[row], position);
    const std::int64_t block = slot / 16;
    const std::int64_t place = slot % 16;
    for (int head = 0; head < cache.heads; head++) {
      const float* q = args.qkv + ((std::int64_t{row} * 3 + 0) * cache.heads + head) * size;
      const float* k = args.qkv + ((std::int64_t{row} * 3 + 1) * cache.heads + head) * size;
      const float* v = args.qkv + ((std::int64_t{row} * 3 + 2) * cache.heads + head) * size;
      const std::int64_t key_block = (block * cache.heads + head) * key_size * 16;
      const std::int64_t value_block = (block * cache.heads + head) * value_size * 16;
      for (int i = 0; i < size; i++) {
        const float turned = rotated(q, position, i);
        args.q[(std::int64_t{row} * cache.heads + head) * size + i] = wide ? turned : to_float(to_bfloat16(turned));
        keys.set(key_block + (wide ? i * 16 + place : in_lines(i, place)), rotated(k, position, i));
        const std::int64_t part = value_block + i / 16 * 256;
        values.set(part + (wide ? place * 16 + i % 16 : in_lines(place, i % 16)), v[i]);
      }
    }
  }
}

void expect_same_bits(const Buffer& actual, const Buffer& expected) {
  ASSERT_EQ(actual.count(), expected.count());
  const auto bytes = static_cast<std::size_t>(actual.count() * size_of(actual.dtype()));
  EXPECT_EQ(std::memcmp(actual.input().data, expected.input().data, bytes), 0);
}

// Operands of a batch, and the results: q and a cache that has numbers in every slot.
class Case {
 public:
  Case(const std::vector<SequenceShape>& shapes, int heads, int head_size, int rotary_dims, DType dtype)
      : batch_(shapes, 1),
        sequences_(sequences_of_rows(batch_.view())),
        rotary_dims_(rotary_dims),
        q(std::int64_t{batch_.rows()} * heads * head_size, DType::float32),
        cache(batch_.blocks(), heads, head_size, dtype) {
    Random random(7);
    qkv_ = random.normals(q.count() * 3);
    // Zeros of both signs, and numbers below the smallest normal one.
    for (std::size_t i = 0; i < qkv_.size(); i += 5) {
      const float special[] = {0.0F, -0.0F, 0x1p-130F, -0x1p-126F};
      qkv_[i] = special[i / 5 % 4];
    }
    const int positions =
        *std::max_element(batch_.view().context_lengths, batch_.view().context_lengths + batch_.view().sequences);
    const std::vector<float> frequencies = rotary_inverse_frequencies(rotary_dims, 10000);
    cosines_ = table(cosine, positions, frequencies.data(), rotary_dims);
    sines_ = table(sine, positions, frequencies.data(), rotary_dims);
    Buffer all(random.normals(std::int64_t{batch_.blocks()} * kKvBlockSize * heads * head_size), dtype);
    cache.pack(all.input(), all.input());
  }

  RotaryAppendArgs args() {
    return {qkv_.data(),  cosines_.data(), sines_.data(),     static_cast<float*>(q.output().data),
            cache.view(), batch_.view(),   sequences_.data(), rotary_dims_};
  }

 private:
  OwnedBatch batch_;
  std::vector<std::int32_t> sequences_;
  int rotary_dims_;
  std::vector<float> qkv_;
  std::vector<float> cosines_;
  std::vector<float> sines_;

 public:
  Buffer q;
  PackedCache cache;
};

void expect_same_results(const Case& actual, const Case& expected) {
  expect_same_bits(actual.q, expected.q);
  expect_same_bits(actual.cache.keys(), expected.cache.keys());
  expect_same_bits(actual.cache.values(), expected.cache.values());
}

using RotaryAppendOn = EveryIsa;
INSTANTIATE_TEST_SUITE_P(Isas, RotaryAppendOn, every_isa(), isa_name);

TEST_P(RotaryAppendOn, fitsTheOracleOfTheRotation) {
  const Conformance result = check_rotary(as_rotary(GetParam()), Device::cpu,
                                          [](const RotaryShape& shape) { return shape.q_out == shape.k_out; });
  EXPECT_TRUE(result.passed()) << result;
}

TEST_P(RotaryAppendOn, fitsTheOracleOfTheAppend) {
  const Conformance result = check_kv_append(as_kv_append(GetParam()), Device::cpu);
  EXPECT_TRUE(result.passed()) << result;
}

TEST_P(RotaryAppendOn, givesTheStatedBitsAndWritesNothingElse) {
  const std::vector<SequenceShape> batch = {{31, 1}, {0, 5}, {250, 17}, {7, 2}, {64, 1}};
  for (DType dtype : {DType::float32, DType::bfloat16}) {
    for (int head_size : {1, 2, 15, 16, 20, 24, 35, 46, 64, 80, 96, 256}) {
      for (int rotary_dims : {0, head_size / 4 / 2 * 2, head_size / 2 * 2}) {
        SCOPED_TRACE(std::to_string(head_size) + " " + std::to_string(rotary_dims));
        Case actual(batch, 3, head_size, rotary_dims, dtype);
        Case expected(batch, 3, head_size, rotary_dims, dtype);
        const FlushDenormals flush;
        rotary_append(GetParam())(actual.args(), 0, 3);
        stated_append(expected.args());
        expect_same_results(actual, expected);
      }
    }
  }
}

TEST_P(RotaryAppendOn, headsInPartsGiveTheWhole) {
  const std::vector<SequenceShape> batch = {{3, 20}, {8, 1}};
  Case whole(batch, 5, 20, 10, DType::bfloat16);
  Case parts(batch, 5, 20, 10, DType::bfloat16);
  rotary_append(GetParam())(whole.args(), 0, 5);
  for (const auto& [first, last] : {std::pair(2, 5), std::pair(0, 1), std::pair(1, 2)}) {
    rotary_append(GetParam())(parts.args(), first, last);
  }
  expect_same_results(parts, whole);
}

}  // namespace
}  // namespace dolly4j::test
