#include "torch/torch_batch.h"

#include <algorithm>

namespace dolly4j {
namespace {

Tensor index_tensor(const std::vector<std::int64_t>& values, TorchDevice device) {
  return Tensor::copy_of(values.data(), {static_cast<std::int64_t>(values.size())}, TensorType::kInt64, device);
}

/// First of the sequence's slots if they are neighbours, else -1.
std::int64_t neighbouring_slots(const RaggedBatch& batch, int sequence, int context) {
  const std::int64_t first = batch.slot(sequence, 0);
  for (int position = kKvBlockSize; position < context; position += kKvBlockSize) {
    if (batch.slot(sequence, position) != first + position) {
      return -1;
    }
  }
  return first;
}

Tensor slots_of(const RaggedBatch& batch, int sequence, int context, TorchDevice device) {
  std::vector<std::int64_t> slots;
  slots.reserve(static_cast<std::size_t>(context));
  for (int position = 0; position < context; ++position) {
    slots.push_back(batch.slot(sequence, position));
  }
  return index_tensor(slots, device);
}

/// Row i attends to the first context - rows + i + 1 positions.
Tensor mask_of(std::int64_t rows, std::int64_t context, TorchDevice device) {
  std::vector<std::uint8_t> mask(static_cast<std::size_t>(rows * context));
  for (std::int64_t row = 0; row < rows; ++row) {
    std::fill_n(mask.begin() + row * context, context - rows + row + 1, std::uint8_t{1});
  }
  return Tensor::copy_of(mask.data(), {rows, context}, TensorType::kBool, device);
}

}  // namespace

TorchBatch to_torch(const RaggedBatch& batch, TorchDevice device) {
  TorchBatch result;
  std::vector<std::int64_t> slots;
  slots.reserve(static_cast<std::size_t>(batch.rows));
  for (int s = 0; s < batch.sequences; ++s) {
    TorchSequence sequence{};
    sequence.first_row = batch.sequence_starts[s];
    sequence.rows = batch.sequence_starts[s + 1] - sequence.first_row;
    const int context = batch.context_lengths[s];
    sequence.context = context;
    sequence.first_slot = neighbouring_slots(batch, s, context);
    if (sequence.first_slot < 0) {
      sequence.slots = slots_of(batch, s, context, device);
    }
    if (sequence.rows > 1 && !sequence.is_causal()) {
      sequence.mask = mask_of(sequence.rows, context, device);
    }
    for (int row = batch.sequence_starts[s]; row < batch.sequence_starts[s + 1]; ++row) {
      slots.push_back(batch.slot(s, batch.positions[row]));
    }
    result.sequences.push_back(std::move(sequence));
  }
  result.positions = index_tensor({batch.positions, batch.positions + batch.rows}, device);
  result.slots = index_tensor(slots, device);
  return result;
}

}  // namespace dolly4j
