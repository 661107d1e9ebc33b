#include "model/weights.h"

#include <algorithm>
#include <functional>
#include <string>
#include <utility>

#include "api/error.h"
#include "cpu/bfloat16.h"
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

/// A slot that weights are held for, once for every layer or once for all.
struct Slot {
  d4j_slot slot;
  SlotShape shape;
  int count;
};

/// A head that is packed cannot share the embedding's memory.
bool packs_tied_head(const d4j_decoder_spec& spec, WeightLayout layout) {
  return layout == WeightLayout::packed && spec.tied_head != 0;
}

std::vector<Slot> slots_of(const d4j_decoder_spec& spec, WeightLayout layout) {
  std::vector<Slot> slots;
  for (int s = 0; s < D4J_SLOT_COUNT; ++s) {
    const auto slot = static_cast<d4j_slot>(s);
    const bool own_tied_head = slot == D4J_HEAD_WEIGHT && packs_tied_head(spec, layout);
    const SlotShape shape = slot_shape(spec, own_tied_head ? D4J_EMBEDDING : slot);
    if (shape.present) {
      slots.push_back({slot, shape, shape.per_layer ? spec.layers : 1});
    }
  }
  return slots;
}

/// Of a matrix that is observed, about so many rows, in blocks of kBlockOutputs evenly over it: a reading of 1 in 30
/// rows of a model of 2.8 billion weights.
constexpr std::int64_t kObservedRows = 256;

/// The matrix of a slot, without memory.
WeightMatrix matrix_of(const Slot& slot, d4j_dtype weight_type, WeightLayout layout) {
  const bool packs = layout == WeightLayout::packed;
  const bool is_bfloat16 = compute_type_of(weight_type) == D4J_BFLOAT16;
  WeightMatrix matrix;
  matrix.rows = slot.shape.rows;
  matrix.columns = slot.shape.columns;
  matrix.is_packed = packs && slot.shape.kind == SlotKind::matrix && slot.slot != D4J_EMBEDDING;
  matrix.is_widened = packs && slot.shape.kind == SlotKind::bias && is_bfloat16;
  if (matrix.is_packed && weight_type == D4J_INT4 && slot.slot != D4J_HEAD_WEIGHT) {
    matrix.type = WeightType::int4;
  } else if (matrix.is_packed && (weight_type == D4J_INT8 || weight_type == D4J_INT4)) {
    matrix.type = WeightType::int8;
  } else if (slot.shape.kind != SlotKind::norm && is_bfloat16 && !matrix.is_widened) {
    matrix.type = WeightType::bfloat16;
  }
  return matrix;
}

}  // namespace

PackedWeight WeightMatrix::packed() const {
  return {type, static_cast<int>(rows), static_cast<int>(columns), data.data(), nullptr};
}

std::int64_t WeightMatrix::bytes() const {
  return is_packed ? packed().blocks() * packed().block_bytes() : rows * row_bytes();
}

std::vector<SlotMatrix> weight_matrices(const d4j_decoder_spec& spec, d4j_dtype weight_type, WeightLayout layout) {
  std::vector<SlotMatrix> matrices;
  for (const Slot& slot : slots_of(spec, layout)) {
    for (int layer = 0; layer < slot.count; ++layer) {
      matrices.push_back({slot.slot, layer, matrix_of(slot, weight_type, layout)});
    }
  }
  return matrices;
}

std::int64_t weight_bytes(const d4j_decoder_spec& spec, d4j_dtype weight_type, WeightLayout layout) {
  std::int64_t bytes = 0;
  for (const SlotMatrix& placed : weight_matrices(spec, weight_type, layout)) {
    bytes += placed.matrix.bytes();
  }
  return bytes;
}

Weights::Weights(const d4j_decoder_spec& spec, d4j_dtype weight_type, WeightLayout layout)
    : packs_tied_head_(packs_tied_head(spec, layout)) {
  for (SlotMatrix& placed : weight_matrices(spec, weight_type, layout)) {
    placed.matrix.data = AlignedMemory(static_cast<std::size_t>(placed.matrix.bytes()), "weights");
    placed.matrix.data.prefer_huge_pages();
    Entry& entry = slots_[static_cast<std::size_t>(placed.slot)].emplace_back();
    entry.missing = placed.matrix.rows;
    entry.matrix = std::move(placed.matrix);
  }
  if (packs_tied_head_) {
    slots_[D4J_HEAD_WEIGHT][0].missing = 0;  // comes with the embedding
  }
  if (layout == WeightLayout::packed && (weight_type == D4J_INT8 || weight_type == D4J_INT4)) {
    smoothing_ = std::make_unique<Smoothing>(spec);
  }
}

Weights::Weights(const d4j_decoder_spec& spec, d4j_dtype weight_type, WeightLayout layout,
                 std::vector<AlignedMemory> memory)
    : packs_tied_head_(packs_tied_head(spec, layout)) {
  auto next = memory.begin();
  for (SlotMatrix& placed : weight_matrices(spec, weight_type, layout)) {
    Entry& entry = slots_[static_cast<std::size_t>(placed.slot)].emplace_back();
    entry.claimed.assign(static_cast<std::size_t>(placed.matrix.rows), 1);
    entry.matrix = std::move(placed.matrix);
    entry.matrix.data = std::move(*next++);
  }
}

void Weights::move(d4j_slot slot, int layer, AlignedMemory memory) {
  slots_[static_cast<std::size_t>(slot)][static_cast<std::size_t>(layer)].matrix.data = std::move(memory);
}

/// The slot that rows go to. Throws D4J_INVALID_ARGUMENT unless the decoder has it and the rows fit into it.
Weights::Entry& Weights::entry_of(const d4j_rows& rows) {
  const auto slot = static_cast<d4j_slot>(rows.slot);
  std::vector<Entry>& entries = slots_[static_cast<std::size_t>(slot)];
  require(!entries.empty(),
          [&] { return where(rows) + " goes to " + slot_name(slot) + ", which this decoder does not have"; });
  require(rows.layer >= 0 && rows.layer < static_cast<std::int64_t>(entries.size()), [&] {
    return where(rows) + " goes to layer " + std::to_string(rows.layer) + " of " + slot_name(slot) + ", which has " +
           std::to_string(entries.size());
  });
  Entry& entry = entries[static_cast<std::size_t>(rows.layer)];
  require(rows.columns == entry.matrix.columns, [&] {
    return where(rows) + " has " + std::to_string(rows.columns) + " columns; expected " +
           std::to_string(entry.matrix.columns) + ", those of " + slot_name(slot);
  });
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

/// Reserves the rows for this call, all or none. Throws D4J_INVALID_ARGUMENT if one is loaded, or being loaded,
/// already.
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

void Weights::observe(const d4j_rows& rows) {
  check_rows(rows);
  const WeightMatrix& matrix = entry_of(rows).matrix;
  const auto slot = static_cast<d4j_slot>(rows.slot);
  if (smoothing_ == nullptr || !Smoothing::concerns(slot)) {
    return;
  }
  const InputFile file(rows.path);
  check_extent(file, rows);
  RowReader reader(file, rows);
  std::vector<float> buffer;
  const auto observe = [&](std::int64_t source, std::int64_t target, std::int64_t count) {
    buffer.resize(static_cast<std::size_t>(count * matrix.columns));
    reader.read(source, count, buffer.data(), true);
    smoothing_->observe(slot, rows.layer, target, count, buffer.data());
  };
  for (std::int64_t i = 0; i < rows.run_count; ++i) {
    const Run run = run_of(rows, i);
    if (!matrix.is_packed) {
      observe(run.source, run.target, run.count);  // a norm
      continue;
    }
    // Of a matrix the first rows of every so many, whatever the runs.
    const std::int64_t distance = std::max<std::int64_t>(1, matrix.rows / kObservedRows) * kBlockOutputs;
    const std::int64_t end = run.target + run.count;
    for (std::int64_t row = run.target; row < end;) {
      const std::int64_t begun = row % distance;
      if (begun >= kBlockOutputs) {
        row += distance - begun;
        continue;
      }
      const std::int64_t count = std::min(kBlockOutputs - begun, end - row);
      observe(run.source + row - run.target, row, count);
      row += count;
    }
  }
}

/// Reads the rows of all runs to their place in the matrix.
void Weights::store(WeightMatrix& matrix, const InputFile& file, const d4j_rows& rows) const {
  // As many rows at a time as are read at once.
  constexpr std::int64_t kPieceBytes = 1 << 20;
  // Rows that become biases are rounded on the way, rows to be quantised are not.
  const bool as_float32 = matrix.type != WeightType::bfloat16 && !matrix.is_widened;
  const std::int64_t row_bytes = matrix.columns * (as_float32 ? 4 : 2);
  const std::int64_t piece =
      std::max<std::int64_t>(kBlockOutputs, kPieceBytes / row_bytes / kBlockOutputs * kBlockOutputs);
  const auto slot = static_cast<d4j_slot>(rows.slot);
  const float* factors =
      smoothing_ != nullptr && Smoothing::concerns(slot) ? smoothing_->factors(slot, rows.layer) : nullptr;
  RowReader reader(file, rows);
  std::vector<std::uint8_t> buffer;  // rows to be packed
  for (std::int64_t i = 0; i < rows.run_count; ++i) {
    const Run run = run_of(rows, i);
    if (!matrix.is_packed && !matrix.is_widened) {
      auto* data = static_cast<std::uint8_t*>(matrix.data.data()) + run.target * row_bytes;
      reader.read(run.source, run.count, data, as_float32);
      if (factors != nullptr) {
        auto* norm = reinterpret_cast<float*>(data);
        std::transform(norm, norm + run.count, factors + run.target, norm, std::divides<>());
      }
      continue;
    }
    for (std::int64_t done = 0; done < run.count; done += piece) {
      const std::int64_t count = std::min(piece, run.count - done);
      if (static_cast<std::int64_t>(buffer.size()) < count * row_bytes) {
        buffer.resize(static_cast<std::size_t>(count * row_bytes));
      }
      reader.read(run.source + done, count, buffer.data(), as_float32);
      const std::int64_t target = run.target + done;
      if (matrix.is_widened) {
        const auto* narrow = reinterpret_cast<const bfloat16*>(buffer.data());
        std::transform(narrow, narrow + count, static_cast<float*>(matrix.data.data()) + target,
                       [](bfloat16 value) { return to_float(value); });
        continue;
      }
      if (factors != nullptr) {
        auto* values = reinterpret_cast<float*>(buffer.data());
        for (std::int64_t row = 0; row < count; ++row, values += matrix.columns) {
          std::transform(values, values + matrix.columns, factors, values, std::multiplies<>());
        }
      }
      pack_outputs(matrix.packed(), matrix.data.data(), static_cast<int>(target), static_cast<int>(count),
                   buffer.data());
    }
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
    store(entry.matrix, file, rows);
    if (packs_tied_head_ && rows.slot == D4J_EMBEDDING) {
      store(slots_[D4J_HEAD_WEIGHT][0].matrix, file, rows);
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
      require(entries[layer].missing == 0, [&] {
        return std::string(slot_name(static_cast<d4j_slot>(s))) + " of layer " + std::to_string(layer) + " lacks " +
               std::to_string(entries[layer].missing) + " of its " + std::to_string(entries[layer].matrix.rows) +
               " rows";
      });
    }
  }
}

const WeightMatrix* Weights::find(d4j_slot slot, int layer) const {
  const std::vector<Entry>& entries = slots_[static_cast<std::size_t>(slot)];
  return entries.empty() ? nullptr : &entries[static_cast<std::size_t>(layer)].matrix;
}

}  // namespace dolly4j
