// The rows (tokens) of one step, the sequences they belong to, and the blocks that hold the sequences' keys and values.
//
// One layer's keys are [blocks, 16, heads, head_size], its values likewise: block_tables names, for every 16 positions
// of a sequence, the block they live in. Prompts and single new tokens mix freely in a batch.
#pragma once

#include <cstdint>

#include "dolly4j.h"

namespace dolly4j {

// Positions of one block of the KV cache.
constexpr int kKvBlockSize = D4J_BLOCK_SIZE;

struct RaggedBatch {
  int rows;
  int sequences;
  const std::int32_t* sequence_starts;  // [sequences + 1]: sequence s has the rows from starts[s] to starts[s + 1] - 1
  const std::int32_t* context_lengths;  // [sequences]: its tokens so far, the rows of this step included
  const std::int32_t* positions;        // [rows]: place in the sequence, consecutive, the last is context length - 1
  const std::int32_t* block_tables;     // [sequences, block_table_stride]: block of the positions 16 i .. 16 i + 15
  int block_table_stride;

  // Slot of a position in a layer's keys or values, counted over all blocks; heads * head_size numbers each.
  std::int64_t slot(int sequence, int position) const {
    const std::int64_t entry = std::int64_t{sequence} * block_table_stride + position / kKvBlockSize;
    return std::int64_t{block_tables[entry]} * kKvBlockSize + position % kKvBlockSize;
  }
};

}  // namespace dolly4j
