#include "model/weights.h"

#include <algorithm>
#include <string>

#include "api/error.h"
#include "model/input_file.h"
#include "model/slots.h"
#include "model/tensor_rows.h"

namespace dolly4j {
namespace {

/// Rows of a run: `count` rows of the tensor from `source` on become rows of the slot from `target` on.
struct Run {
  std::int64_t source;
  std::int64_t target;
  std::int64_t count;
};

Run run_of(const d4j_rows& rows, std::int64_t index) {
  const std::int32_t* run = rows.runs + 3 * index;
  return {run[0], run[1], run[2]};
}

bool is_float32(const SlotShape& shape, d4j_dtype compute_type) { return shape.is_norm || compute_type == D4J_FLOAT32; }

}  // namespace

std::int64_t weight_bytes(const d4j_decoder_spec& spec, d4j_dtype compute_type) {
  std::int64_t bytes = 0;
  for (int s = 0; s < D4J_SLOT_COUNT; ++s) {
    const SlotShape shape = slot_shape(spec, static_cast<d4j_slot>(s));
    if (shape.present) {
      const std::int64_t layers = shape.per_layer ? spec.layers : 1;
      bytes += layers * shape.rows * shape.columns * (is_float32(shape, compute_type) ? 4 : 2);
    }
  }
  return bytes;
}

Weights::Weights(const d4j_decoder_spec& spec, d4j_dtype compute_type) {
  for (int s = 0; s < D4J_SLOT_COUNT; ++s) {
    const SlotShape shape = slot_shape(spec, static_cast<d4j_slot>(s));
    if (!shape.present) {
      continue;
    }
    const int layers = shape.per_layer ? spec.layers : 1;
    for (int layer = 0; layer < layers; ++layer) {
      Entry& entry = slots_[static_cast<std::size_t>(s)].emplace_back();
      WeightMatrix& matrix = entry.matrix;
      matrix.rows = shape.rows;
      matrix.columns = shape.columns;
      matrix.is_float32 = is_float32(shape, compute_type);
      matrix.data = AlignedMemory(static_cast<std::size_t>(matrix.rows * matrix.row_bytes()), "weights");
      entry.missing = shape.rows;
    }
  }
}

/// The slot that rows go to. Throws D4J_INVALID_ARGUMENT unless the decoder has it and the rows fit into it.
Weights::Entry& Weights::entry_of(const d4j_rows& rows) {
  const auto slot = static_cast<d4j_slot>(rows.slot);
  std::vector<Entry>& entries = slots_[static_cast<std::size_t>(slot)];
  require(!entries.empty(), where(rows) + " goes to " + slot_name(slot) + ", which this decoder does not have");
  require(rows.layer >= 0 && rows.layer < static_cast<std::int64_t>(entries.size()),
          where(rows) + " goes to layer " + std::to_string(rows.layer) + " of " + slot_name(slot) + ", which has " +
              std::to_string(entries.size()));
  Entry& entry = entries[static_cast<std::size_t>(rows.layer)];
  require(rows.columns == entry.matrix.columns, where(rows) + " has " + std::to_string(rows.columns) +
                                                    " columns; expected " + std::to_string(entry.matrix.columns) +
                                                    ", those of " + slot_name(slot));
  for (std::int64_t i = 0; i < rows.run_count; ++i) {
    const Run run = run_of(rows, i);
    if (run.target < 0 || run.target + run.count > entry.matrix.rows) {
      throw Error(D4J_INVALID_ARGUMENT, where(rows) + ": run " + std::to_string(i) + " goes to " +
                                            std::to_string(run.count) + " rows from row " + std::to_string(run.target) +
                                            " of " + slot_name(slot) + ", which has " +
                                            std::to_string(entry.matrix.rows));
    }
  }
  return entry;
}

/// Reserves the rows for this call, all or none. Throws D4J_INVALID_ARGUMENT if one is loaded, or being loaded, already.
void Weights::claim(Entry& entry, const d4j_rows& rows) {
  const std::lock_guard<std::mutex> lock(mutex_);
  entry.claimed.resize(static_cast<std::size_t>(entry.matrix.rows));
  std::int64_t claimed = 0;
  for (std::int64_t i = 0; i < rows.run_count; ++i) {
    const Run run = run_of(rows, i);
    for (std::int64_t row = run.target; row < run.target + run.count; ++row, ++claimed) {
      std::uint8_t& flag = entry.claimed[static_cast<std::size_t>(row)];
      if (flag != 0) {
        release(entry, rows, claimed);
        throw Error(D4J_INVALID_ARGUMENT, where(rows) + ": row " + std::to_string(row) + " of " +
                                              slot_name(static_cast<d4j_slot>(rows.slot)) + " is loaded twice");
      }
      flag = 1;
    }
  }
}

/// Takes back the claim of the first `count` rows, in the order of the runs.
void Weights::release(Entry& entry, const d4j_rows& rows, std::int64_t count) {
  for (std::int64_t i = 0; count > 0; ++i) {
    const Run run = run_of(rows, i);
    const std::int64_t here = std::min(run.count, count);
    std::fill_n(entry.claimed.begin() + run.target, here, std::uint8_t{0});
    count -= here;
  }
}

void Weights::load(const d4j_rows& rows) {
  check_rows(rows);
  Entry& entry = entry_of(rows);
  const InputFile file(rows.path);
  check_extent(file, rows);
  claim(entry, rows);
  std::int64_t total = 0;
  for (std::int64_t i = 0; i < rows.run_count; ++i) {
    total += run_of(rows, i).count;
  }
  try {
    auto* data = static_cast<std::uint8_t*>(entry.matrix.data.data());
    for (std::int64_t i = 0; i < rows.run_count; ++i) {
      const Run run = run_of(rows, i);
      read_rows(file, rows, run.source, run.count, data + run.target * entry.matrix.row_bytes(),
                entry.matrix.is_float32);
    }
  } catch (...) {
    const std::lock_guard<std::mutex> lock(mutex_);
    release(entry, rows, total);
    throw;
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  entry.missing -= total;
}

void Weights::check_complete() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (int s = 0; s < D4J_SLOT_COUNT; ++s) {
    const std::vector<Entry>& entries = slots_[static_cast<std::size_t>(s)];
    for (std::size_t layer = 0; layer < entries.size(); ++layer) {
      require(entries[layer].missing == 0, std::string(slot_name(static_cast<d4j_slot>(s))) + " of layer " +
                                               std::to_string(layer) + " lacks " +
                                               std::to_string(entries[layer].missing) + " of its " +
                                               std::to_string(entries[layer].matrix.rows) + " rows");
    }
  }
}

const WeightMatrix* Weights::find(d4j_slot slot, int layer) const {
  const std::vector<Entry>& entries = slots_[static_cast<std::size_t>(slot)];
  return entries.empty() ? nullptr : &entries[static_cast<std::size_t>(layer)].matrix;
}

}  // namespace dolly4j
