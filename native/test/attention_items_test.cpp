#include "ops/attention_items.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "batches.h"

namespace dolly4j::test {
namespace {

constexpr int kHeads = 32;

std::vector<AttentionItem> planned(const std::vector<SequenceShape>& sequences, int threads, int heads = kHeads) {
  const OwnedBatch batch(sequences, 1);
  AttentionItems items(heads, threads, batch.rows());
  items.plan(batch.view());
  return items.items();
}

const std::vector<std::vector<SequenceShape>> kBatches = {
    {{0, 1}},
    {{1500, 1}},
    {{0, 256}},
    {{100, 1}, {1500, 1}, {3, 1}},
    {{1500, 3}, {0, 17}, {63, 1}, {700, 33}},
    {{10, 1}, {20, 1}, {30, 1}, {40, 1}, {50, 1}, {60, 1}, {70, 1}, {2000, 1}},
};

TEST(AttentionItems, haveEveryHeadOfEveryRowOnce) {
  for (const std::vector<SequenceShape>& sequences : kBatches) {
    for (int threads : {1, 2, 5, 64}) {
      for (int heads : {1, 7, 32}) {
        std::map<std::tuple<int, int, int>, int> seen;
        for (const AttentionItem& item : planned(sequences, threads, heads)) {
          ASSERT_GE(item.rows, 1);
          ASSERT_GE(item.heads, 1);
          ASSERT_LE(item.rows * item.heads, kAttentionRows);
          for (int row = item.first_row; row < item.first_row + item.rows; row++) {
            for (int head = item.first_head; head < item.first_head + item.heads; head++) {
              seen[{item.sequence, row, head}]++;
            }
          }
        }
        std::map<std::tuple<int, int, int>, int> expected;
        int first_row = 0;
        for (std::size_t s = 0; s < sequences.size(); s++) {
          for (int row = first_row; row < first_row + sequences[s].rows; row++) {
            for (int head = 0; head < heads; head++) {
              expected[{static_cast<int>(s), row, head}] = 1;
            }
          }
          first_row += sequences[s].rows;
        }
        EXPECT_EQ(seen, expected);
      }
    }
  }
}

TEST(AttentionItems, readLongPiecesUnlessThatLeavesThreadsIdle) {
  const auto heads_of = [](int threads) { return planned({{700, 1}}, threads).front().heads; };
  EXPECT_EQ(heads_of(1), 16);
  EXPECT_EQ(heads_of(2), 16);
  EXPECT_EQ(heads_of(4), 8);
  EXPECT_EQ(heads_of(32), 1);
  EXPECT_EQ(planned({{0, 256}}, 2).front().rows, kAttentionRows);
}

// Time until the last thread has finished, as a multiple of what it would be if all finished at once. Reading takes as
// long as `rows_of_a_read` rows.
double imbalance(const std::vector<SequenceShape>& sequences, int threads, int rows_of_a_read) {
  const OwnedBatch batch(sequences, 1);
  std::vector<double> busy(static_cast<std::size_t>(threads));
  double all = 0;
  for (const AttentionItem& item : planned(sequences, threads)) {
    const int context = batch.view().positions[item.first_row + item.rows - 1] + 1;
    const double work = static_cast<double>(context) * item.heads * std::max(item.rows, rows_of_a_read);
    *std::min_element(busy.begin(), busy.end()) += work;
    all += work;
  }
  return *std::max_element(busy.begin(), busy.end()) / (all / threads);
}

TEST(AttentionItems, keepAllThreadsAtWorkToTheEnd) {
  for (const std::vector<SequenceShape>& sequences : kBatches) {
    for (int threads : {2, 3, 4, 8}) {
      for (int rows_of_a_read : {2, 4, 8}) {
        EXPECT_LE(imbalance(sequences, threads, rows_of_a_read), 1.25)
            << sequences.size() << " sequences, the first of " << sequences[0].rows << " rows, " << threads
            << " threads, reading like " << rows_of_a_read << " rows";
      }
    }
  }
}

TEST(AttentionItems, areOfTheBatchLastPlannedAndTakeNoFurtherMemory) {
  AttentionItems items(kHeads, 4, 256);
  const OwnedBatch first({{0, 1}}, 1);
  items.plan(first.view());
  const AttentionItem* memory = items.items().data();
  std::vector<SequenceShape> many(256, SequenceShape{5, 1});
  for (const std::vector<SequenceShape>& sequences : {std::vector<SequenceShape>{{0, 256}}, many, {{7, 2}}}) {
    const OwnedBatch batch(sequences, 1);
    items.plan(batch.view());
    EXPECT_EQ(items.items().size(), planned(sequences, 4).size());
    EXPECT_EQ(items.items().data(), memory);
  }
}

}  // namespace
}  // namespace dolly4j::test
