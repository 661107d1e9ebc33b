#include "ops/kv_append.h"

#include <gtest/gtest.h>

#include "conformance.h"

namespace dolly4j::test {
namespace {

TEST(KvAppend, rowsGoToTheSlotsThatTheBlockTableNames) {
  // Two sequences: positions 15 and 16 of one whose blocks are 3 and 0; position 2 of one whose block is 2.
  const std::vector<std::int32_t> starts = {0, 2, 3};
  const std::vector<std::int32_t> context_lengths = {17, 3};
  const std::vector<std::int32_t> positions = {15, 16, 2};
  const std::vector<std::int32_t> tables = {3, 0, 2, 99};
  RaggedBatch batch{};
  batch.rows = 3;
  batch.sequences = 2;
  batch.sequence_starts = starts.data();
  batch.context_lengths = context_lengths.data();
  batch.positions = positions.data();
  batch.block_tables = tables.data();
  batch.block_table_stride = 2;

  const int width = 2;
  const std::vector<float> k = {1, 2, 3, 4, 5, 6};
  const std::vector<float> v = {10, 20, -1, 30, 40, -1, 50, 60, -1};
  std::vector<float> keys(4 * 16 * width, 0);
  std::vector<float> values(4 * 16 * width, 0);
  kv_append_oracle({k.data(), 2, v.data(), 3, keys.data(), values.data(), batch, 1, width});

  std::vector<float> expected_keys(4 * 16 * width, 0);
  std::vector<float> expected_values(4 * 16 * width, 0);
  const auto put = [&](int block, int slot, int row) {
    for (int i = 0; i < width; i++) {
      expected_keys[(block * 16 + slot) * width + i] = k[row * 2 + i];
      expected_values[(block * 16 + slot) * width + i] = v[row * 3 + i];
    }
  };
  put(3, 15, 0);
  put(0, 0, 1);
  put(2, 2, 2);
  EXPECT_EQ(keys, expected_keys);
  EXPECT_EQ(values, expected_values);
}

TEST(KvAppend, bfloat16CacheHoldsTheRoundedNumbers) {
  const OwnedBatch batch({{0, 1}}, 1);
  const std::vector<float> k = {1 + 0x1p-8F, 1 + 3 * 0x1p-8F};
  const std::vector<float> v = {-0x1p-140F, 1e38F};
  Buffer keys(batch.blocks() * 16 * 2, DType::bfloat16);
  Buffer values = keys;
  kv_append_oracle({k.data(), 2, v.data(), 2, keys.output(), values.output(), batch.view(), 1, 2});
  const std::int64_t slot = batch.view().slot(0, 0) * 2;
  EXPECT_EQ(keys.at(slot), 1);
  EXPECT_EQ(keys.at(slot + 1), 1 + 0x1p-6F);
  EXPECT_EQ(values.at(slot), 0);
  EXPECT_NEAR(values.at(slot + 1), 1e38, 1e38 / 256);
}

TEST(KvAppendCases, oracleFitsTheCases) {
  const Conformance result = check_kv_append(kv_append_oracle, Device::cpu);
  EXPECT_TRUE(result.passed()) << result;
}

TEST(KvAppendCases, rejectKeysAndValuesSwapped) {
  const Conformance result = check_kv_append(
      [](const KvAppendArgs& args) {
        KvAppendArgs wrong = args;
        std::swap(wrong.keys, wrong.values);
        kv_append_oracle(wrong);
      },
      Device::cpu);
  EXPECT_EQ(static_cast<int>(result.failures.size()), result.cases) << result;
}

TEST(KvAppendCases, rejectTheNextSlot) {
  const Conformance result = check_kv_append(
      [](const KvAppendArgs& args) {
        std::vector<std::int32_t> positions(args.batch.positions, args.batch.positions + args.batch.rows);
        for (std::int32_t& position : positions) {
          position ^= 1;
        }
        KvAppendArgs wrong = args;
        wrong.batch.positions = positions.data();
        kv_append_oracle(wrong);
      },
      Device::cpu);
  EXPECT_FALSE(result.passed());
}

TEST(KvAppendCases, rejectAWriteBesideTheRowsSlots) {
  const Conformance result = check_kv_append(
      [](const KvAppendArgs& args) {
        kv_append_oracle(args);
        // The block of the first sequence, taken to be all its own from its next position on.
        const int next = args.batch.context_lengths[0];
        if (next % kKvBlockSize != 0) {
          args.values.set(args.batch.slot(0, next) * args.heads * args.head_size, 0);
        }
      },
      Device::cpu);
  EXPECT_FALSE(result.passed());
}

}  // namespace
}  // namespace dolly4j::test
