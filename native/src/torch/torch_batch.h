// A ragged batch (ops/ragged_batch.h) as libtorch's ops take it: index tensors on the device, and for every sequence
// the place of its rows and of its context in the KV cache.
#pragma once

#include <cstdint>
#include <vector>

#include "ops/ragged_batch.h"
#include "torch/tensor.h"

namespace dolly4j {

/// Rows of a sequence, and where the keys and values of its context lie. A slot is one position of a KV block; slots
/// are counted over all blocks.
struct TorchSequence {
  std::int64_t first_row;
  std::int64_t rows;
  std::int64_t context;     // positions, the rows' own included
  std::int64_t first_slot;  // of context neighbouring slots, or -1 where they are scattered
  Tensor slots;             // int64 [context], only where they are scattered
  Tensor mask;              // bool [rows, context]: who attends to what; only where neither all nor the lower triangle

  /// Whether row i attends to the context's first i + 1 positions.
  bool is_causal() const { return rows > 1 && rows == context; }
};

struct TorchBatch {
  Tensor positions;  // int64 [rows]
  Tensor slots;      // int64 [rows]: where the keys and values of the rows go
  std::vector<TorchSequence> sequences;
};

TorchBatch to_torch(const RaggedBatch& batch, TorchDevice device);

}  // namespace dolly4j
