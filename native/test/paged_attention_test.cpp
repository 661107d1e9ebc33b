#include "ops/paged_attention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "conformance.h"
#include "ops/kv_append.h"
#include "random.h"

namespace dolly4j::test {
namespace {

constexpr int kHeads = 3;

// Q, K and V of one whole sequence: [length, heads, head_size] each.
struct Sequence {
  std::vector<float> q;
  std::vector<float> k;
  std::vector<float> v;

  static Sequence random(int length, int head_size, std::uint64_t seed) {
    Random random(seed);
    const std::int64_t count = std::int64_t{length} * kHeads * head_size;
    return {random.normals(count), random.normals(count), random.normals(count)};
  }
};

std::vector<float> rows_of(const std::vector<float>& all, int first, int count, int width) {
  return {all.begin() + first * width, all.begin() + (first + count) * width};
}

// Output of the rows that shapes says of each sequence, over blocks given out by block_seed.
std::vector<float> attend(const std::vector<Sequence>& sequences, const std::vector<SequenceShape>& shapes,
                          int head_size, std::uint64_t block_seed) {
  const int width = kHeads * head_size;
  const OwnedBatch owned(shapes, block_seed);
  const RaggedBatch batch = owned.view();
  Buffer keys(std::int64_t{owned.blocks()} * kKvBlockSize * width, DType::float32);
  Buffer values = keys;
  std::vector<float> q;
  for (int s = 0; s < batch.sequences; s++) {
    for (int position = 0; position < batch.context_lengths[s]; position++) {
      for (int i = 0; i < width; i++) {
        keys.set(batch.slot(s, position) * width + i, sequences[s].k[position * width + i]);
        values.set(batch.slot(s, position) * width + i, sequences[s].v[position * width + i]);
      }
    }
    const std::vector<float> rows = rows_of(sequences[s].q, shapes[s].cached, shapes[s].rows, width);
    q.insert(q.end(), rows.begin(), rows.end());
  }
  std::vector<float> y(q.size(), std::nanf(""));
  paged_attention_oracle({q.data(), keys.input(), values.input(), y.data(), batch, kHeads, head_size});
  return y;
}

TEST(PagedAttention, aSinglePositionReturnsItsValue) {
  for (int head_size : {20, 24, 256}) {
    const Sequence sequence = Sequence::random(1, head_size, 1);
    EXPECT_EQ(attend({sequence}, {{0, 1}}, head_size, 1), sequence.v);
  }
}

TEST(PagedAttention, equalKeysReturnTheMeanOfTheValuesSoFar) {
  const int head_size = 20;
  const int width = kHeads * head_size;
  Sequence sequence = Sequence::random(40, head_size, 2);
  std::fill(sequence.k.begin(), sequence.k.end(), 0.5F);
  const std::vector<float> y = attend({sequence}, {{0, 40}}, head_size, 2);
  for (int i = 0; i < width; i++) {
    double sum = 0;
    for (int t = 0; t < 40; t++) {
      sum += sequence.v[t * width + i];
      EXPECT_NEAR(y[t * width + i], sum / (t + 1), 1e-6) << t;
    }
  }
}

TEST(PagedAttention, ofTwoPositionsTheSecondHasTheLogisticFunctionOfTheScoreDifference) {
  const int head_size = 20;
  const int width = kHeads * head_size;
  const Sequence sequence = Sequence::random(2, head_size, 3);
  const std::vector<float> y = attend({sequence}, {{1, 1}}, head_size, 3);
  for (int h = 0; h < kHeads; h++) {
    double difference = 0;
    for (int i = h * head_size; i < (h + 1) * head_size; i++) {
      difference += static_cast<double>(sequence.q[width + i]) * (sequence.k[width + i] - sequence.k[i]);
    }
    const double second = 1 / (1 + std::exp(-difference / std::sqrt(20.0)));
    for (int i = h * head_size; i < (h + 1) * head_size; i++) {
      EXPECT_NEAR(y[i], (1 - second) * sequence.v[i] + second * sequence.v[width + i], 1e-6);
    }
  }
}

TEST(PagedAttention, aKeyFarCloserThanAllOthersReturnsItsValueAndNothingOverflows) {
  const int head_size = 24;
  const int width = kHeads * head_size;
  Sequence sequence = Sequence::random(50, head_size, 4);
  for (int i = 0; i < width; i++) {
    sequence.k[17 * width + i] = 1000 * sequence.q[49 * width + i];
  }
  EXPECT_EQ(attend({sequence}, {{49, 1}}, head_size, 4), rows_of(sequence.v, 17, 1, width));
}

TEST(PagedAttention, otherBlocksForASequenceChangeNothing) {
  const std::vector<Sequence> sequences = {Sequence::random(70, 20, 5), Sequence::random(33, 20, 6)};
  const std::vector<SequenceShape> shapes = {{50, 20}, {0, 33}};
  const std::vector<float> y = attend(sequences, shapes, 20, 5);
  EXPECT_EQ(attend(sequences, shapes, 20, 6), y);
  EXPECT_EQ(attend(sequences, shapes, 20, 7), y);
}

TEST(PagedAttention, chunksGiveTheRowsOfTheWhole) {
  const int width = kHeads * 24;
  const Sequence sequence = Sequence::random(50, 24, 8);
  const std::vector<float> whole = attend({sequence}, {{0, 50}}, 24, 8);
  int first = 0;
  for (int rows : {1, 7, 8, 17, 17}) {
    EXPECT_EQ(attend({sequence}, {{first, rows}}, 24, 9), rows_of(whole, first, rows, width)) << first;
    first += rows;
  }
  EXPECT_EQ(first, 50);
}

TEST(PagedAttention, sequencesOfABatchGiveWhatEachGivesAlone) {
  const std::vector<Sequence> sequences = {Sequence::random(48, 20, 10), Sequence::random(7, 20, 11),
                                           Sequence::random(17, 20, 12)};
  const std::vector<SequenceShape> shapes = {{47, 1}, {0, 7}, {10, 7}};
  std::vector<float> alone;
  for (int s = 0; s < 3; s++) {
    const std::vector<float> y = attend({sequences[s]}, {shapes[s]}, 20, 13);
    alone.insert(alone.end(), y.begin(), y.end());
  }
  EXPECT_EQ(attend(sequences, shapes, 20, 14), alone);
}

// What float32_attention can be told to get wrong.
struct Mistake {
  bool sees_later_rows = false;
  bool skips_itself = false;
  bool scale_by_size = false;
  bool no_highest = false;
  bool first_table = false;
  bool truncates = false;
};

float truncated_to_bfloat16(float number) {
  std::uint32_t bits;
  std::memcpy(&bits, &number, sizeof bits);
  return to_float(bfloat16{static_cast<std::uint16_t>(bits >> 16)});
}

// One pass over the context with a running maximum, in float32 (Milakov and Gimelshein 2018), unless told otherwise.
void float32_attention(const PagedAttentionArgs& args, const Mistake& mistake) {
  const RaggedBatch& batch = args.batch;
  const auto size = static_cast<float>(args.head_size);
  const float scale = mistake.scale_by_size ? 1 / size : 1 / std::sqrt(size);
  for (int s = 0; s < batch.sequences; s++) {
    for (int t = batch.sequence_starts[s]; t < batch.sequence_starts[s + 1]; t++) {
      int context = mistake.sees_later_rows ? batch.context_lengths[s] : batch.positions[t] + 1;
      context -= mistake.skips_itself && context > 1 ? 1 : 0;
      for (int h = 0; h < args.heads; h++) {
        const std::int64_t q = (std::int64_t{t} * args.heads + h) * args.head_size;
        float highest = mistake.no_highest ? 0 : -HUGE_VALF;
        float total = 0;
        std::vector<float> sums(args.head_size, 0);
        for (int j = 0; j < context; j++) {
          const int table = mistake.first_table && j < batch.context_lengths[0] ? 0 : s;
          const std::int64_t cached = (batch.slot(table, j) * args.heads + h) * args.head_size;
          float score = 0;
          for (int i = 0; i < args.head_size; i++) {
            score += args.q.at(q + i) * args.keys.at(cached + i);
          }
          score *= scale;
          const float higher = mistake.no_highest ? 0 : std::max(highest, score);
          const float shrink = std::exp(highest - higher);
          const float weight = std::exp(score - higher);
          highest = higher;
          total = total * shrink + weight;
          for (int i = 0; i < args.head_size; i++) {
            sums[i] = sums[i] * shrink + weight * args.values.at(cached + i);
          }
        }
        for (int i = 0; i < args.head_size; i++) {
          const float y = sums[i] / total;
          args.y.set(q + i, mistake.truncates ? truncated_to_bfloat16(y) : y);
        }
      }
    }
  }
}

// Over the cases of one odd head size, which suffice to see a mistake.
Conformance check(const Mistake& mistake) {
  return check_paged_attention([&](const PagedAttentionArgs& args) { float32_attention(args, mistake); }, Device::cpu,
                               [](const PagedAttentionShape& shape) { return shape.head_size == 20; });
}

TEST(PagedAttentionCases, acceptFloat32InOnePass) {
  const Conformance result =
      check_paged_attention([](const PagedAttentionArgs& args) { float32_attention(args, {}); }, Device::cpu);
  EXPECT_TRUE(result.passed()) << result;
}

TEST(PagedAttentionCases, rejectRowsThatSeeLaterOnes) {
  Mistake mistake;
  mistake.sees_later_rows = true;
  EXPECT_FALSE(check(mistake).passed());
}

TEST(PagedAttentionCases, rejectRowsThatDoNotSeeThemselves) {
  Mistake mistake;
  mistake.skips_itself = true;
  EXPECT_FALSE(check(mistake).passed());
}

TEST(PagedAttentionCases, rejectAnotherScale) {
  Mistake mistake;
  mistake.scale_by_size = true;
  EXPECT_FALSE(check(mistake).passed());
}

TEST(PagedAttentionCases, rejectExponentialsThatOverflow) {
  Mistake mistake;
  mistake.no_highest = true;
  EXPECT_FALSE(check(mistake).passed());
}

TEST(PagedAttentionCases, rejectTheBlocksOfAnotherSequence) {
  Mistake mistake;
  mistake.first_table = true;
  EXPECT_FALSE(check(mistake).passed());
}

TEST(PagedAttentionCases, rejectTruncationToBfloat16) {
  Mistake mistake;
  mistake.truncates = true;
  const auto of_cache = [&](DType cache) {
    return check_paged_attention([&](const PagedAttentionArgs& args) { float32_attention(args, mistake); }, Device::cpu,
                                 [=](const PagedAttentionShape& shape) {
                                   const bool has_enough_numbers = shape.head_size > 16;
                                   return shape.y == DType::bfloat16 && shape.cache == cache && has_enough_numbers;
                                 });
  };
  // Probabilities may be rounded, so that only all cases together show it.
  const Conformance rounded = of_cache(DType::bfloat16);
  ASSERT_EQ(rounded.failures.size(), 1U) << rounded;
  EXPECT_NE(rounded.failures[0].find("truncated"), std::string::npos) << rounded;
  const Conformance exact = of_cache(DType::float32);
  EXPECT_EQ(static_cast<int>(exact.failures.size()), exact.cases) << exact;
}

}  // namespace
}  // namespace dolly4j::test
