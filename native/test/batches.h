// Ragged batches for tests, with their block tables.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "ops/ragged_batch.h"
#include "random.h"

namespace dolly4j::test {

// A sequence in a step: tokens in the cache already, and rows of this step (at least one).
struct SequenceShape {
  int cached;
  int rows;
};

// The arrays of a RaggedBatch. Sequences get distinct blocks in random order; some blocks belong to none.
class OwnedBatch {
 public:
  OwnedBatch(const std::vector<SequenceShape>& shapes, std::uint64_t seed) {
    for (const SequenceShape& shape : shapes) {
      stride_ = std::max(stride_, blocks_of(shape));
      blocks_ += blocks_of(shape);
    }
    blocks_ += 3;
    stride_ += 1;
    const std::vector<int> order = Random(seed).permutation(blocks_);
    int next_block = 0;
    starts_.push_back(0);
    for (const SequenceShape& shape : shapes) {
      starts_.push_back(starts_.back() + shape.rows);
      context_lengths_.push_back(shape.cached + shape.rows);
      for (int i = 0; i < shape.rows; i++) {
        positions_.push_back(shape.cached + i);
      }
      for (int i = 0; i < stride_; i++) {
        tables_.push_back(i < blocks_of(shape) ? order[next_block++] : kNoBlock);
      }
    }
  }

  RaggedBatch view() const {
    RaggedBatch batch{};
    batch.rows = starts_.back();
    batch.sequences = static_cast<int>(context_lengths_.size());
    batch.sequence_starts = starts_.data();
    batch.context_lengths = context_lengths_.data();
    batch.positions = positions_.data();
    batch.block_tables = tables_.data();
    batch.block_table_stride = stride_;
    return batch;
  }

  int rows() const { return starts_.back(); }
  int blocks() const { return blocks_; }

 private:
  // Stands in a block table after the sequence's blocks; far out of range, so that its use is a crash.
  static constexpr std::int32_t kNoBlock = 1 << 30;

  static int blocks_of(const SequenceShape& shape) {
    return (shape.cached + shape.rows + kKvBlockSize - 1) / kKvBlockSize;
  }

  int stride_ = 0;
  int blocks_ = 0;
  std::vector<std::int32_t> starts_;
  std::vector<std::int32_t> context_lengths_;
  std::vector<std::int32_t> positions_;
  std::vector<std::int32_t> tables_;
};

// "13+20 0+5": cached + new tokens of every sequence.
inline std::string describe(const std::vector<SequenceShape>& shapes) {
  std::string text;
  for (const SequenceShape& shape : shapes) {
    text += (text.empty() ? "" : " ") + std::to_string(shape.cached) + "+" + std::to_string(shape.rows);
  }
  return text;
}

}  // namespace dolly4j::test
