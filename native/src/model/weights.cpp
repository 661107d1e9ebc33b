#include "model/weights.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>
#include <string>

#include "api/error.h"
#include "cpu/bfloat16.h"
#include "cpu/float16.h"
#include "model/input_file.h"
#include "model/slots.h"

namespace dolly4j {
namespace {

std::int64_t element_bytes(std::int32_t dtype) { return dtype == D4J_FLOAT32 ? 4 : 2; }

std::string where(const d4j_rows& rows) { return std::string(rows.path) + ": tensor '" + rows.name + "'"; }

/// Bytes from the first to past the last element of `count` rows.
std::int64_t span_bytes(const d4j_rows& rows, std::int64_t count) {
  const std::int64_t last = (count - 1) * rows.row_stride + (rows.columns - 1) * rows.column_stride;
  return (last + 1) * element_bytes(rows.dtype);
}

void check_arguments(const d4j_rows& rows) {
  require(rows.name != nullptr && rows.path != nullptr && rows.runs != nullptr, "rows: name, path and runs are needed");
  require(rows.dtype == D4J_FLOAT32 || rows.dtype == D4J_BFLOAT16 || rows.dtype == D4J_FLOAT16,
          where(rows) + " has the unknown dtype " + std::to_string(rows.dtype));
  require(rows.slot >= 0 && rows.slot < D4J_SLOT_COUNT, where(rows) + " names the slot " + std::to_string(rows.slot));
  // Bounds that keep the products below within 64 bits; no file is as large.
  constexpr std::int64_t kMost = std::int64_t{1} << 40;
  require(rows.offset >= 0 && rows.offset < kMost && rows.rows >= 1 && rows.columns >= 1 && rows.rows < (1 << 30) &&
              rows.columns < (1 << 30) && rows.row_stride >= 0 && rows.column_stride >= 0 &&
              rows.row_stride <= kMost / rows.rows && rows.column_stride <= kMost / rows.columns && rows.run_count >= 1,
          where(rows) + " has a size, stride or offset out of bounds");
}

float read_element(const std::uint8_t* source, std::int32_t dtype) {
  if (dtype == D4J_FLOAT32) {
    float value;
    std::memcpy(&value, source, sizeof value);
    return value;
  }
  std::uint16_t bits;
  std::memcpy(&bits, source, sizeof bits);
  return dtype == D4J_BFLOAT16 ? to_float(bfloat16{bits}) : to_float(float16{bits});
}

/// Whether a row of elements holds neither NaN nor infinity: no exponent of ones.
template <typename Bits>
bool all_finite(const std::uint8_t* source, std::int64_t count, Bits exponent) {
  bool finite = true;
  for (std::int64_t i = 0; i < count; ++i) {
    Bits bits;
    std::memcpy(&bits, source + i * static_cast<std::int64_t>(sizeof bits), sizeof bits);
    finite &= (bits & exponent) != exponent;
  }
  return finite;
}

bool all_finite(const std::uint8_t* source, std::int64_t count, std::int32_t dtype) {
  switch (dtype) {
    case D4J_FLOAT32:
      return all_finite<std::uint32_t>(source, count, 0x7f800000U);
    case D4J_BFLOAT16:
      return all_finite<std::uint16_t>(source, count, 0x7f80U);
    default:
      return all_finite<std::uint16_t>(source, count, 0x7c00U);
  }
}

/// Converts `count` elements that lie side by side.
void convert(const std::uint8_t* source, std::int32_t dtype, std::int64_t count, void* target, bool to_float32) {
  if (dtype == (to_float32 ? D4J_FLOAT32 : D4J_BFLOAT16)) {
    std::memcpy(target, source, static_cast<std::size_t>(count * element_bytes(dtype)));
    return;
  }
  const std::int64_t size = element_bytes(dtype);
  for (std::int64_t i = 0; i < count; ++i) {
    const float value = read_element(source + i * size, dtype);
    if (to_float32) {
      static_cast<float*>(target)[i] = value;
    } else {
      static_cast<bfloat16*>(target)[i] = to_bfloat16(value);
    }
  }
}

}  // namespace

Weights::Weights(const d4j_decoder_spec& spec, d4j_dtype compute_type) : spec_(spec) {
  for (int s = 0; s < D4J_SLOT_COUNT; ++s) {
    const auto slot = static_cast<d4j_slot>(s);
    const SlotShape shape = slot_shape(spec, slot);
    if (!shape.present) {
      continue;
    }
    const int layers = shape.per_layer ? spec.layers : 1;
    for (int layer = 0; layer < layers; ++layer) {
      Entry& entry = slots_[static_cast<std::size_t>(s)].emplace_back();
      entry.matrix.rows = shape.rows;
      entry.matrix.columns = shape.columns;
      entry.matrix.is_float32 = shape.is_norm || compute_type == D4J_FLOAT32;
      const std::int64_t bytes = shape.rows * shape.columns * (entry.matrix.is_float32 ? 4 : 2);
      entry.matrix.data = AlignedMemory(static_cast<std::size_t>(bytes), "weights");
      entry.claimed.resize(static_cast<std::size_t>(shape.rows));
      entry.missing = shape.rows;
    }
  }
}

Weights::Entry& Weights::claim(const d4j_rows& rows) {
  const auto slot = static_cast<d4j_slot>(rows.slot);
  std::vector<Entry>& entries = slots_[static_cast<std::size_t>(slot)];
  require(!entries.empty(), where(rows) + " goes to " + slot_name(slot) + ", which this decoder does not have");
  require(rows.layer >= 0 && rows.layer < static_cast<std::int64_t>(entries.size()),
          where(rows) + " goes to layer " + std::to_string(rows.layer) + " of " + std::to_string(entries.size()));
  Entry& entry = entries[static_cast<std::size_t>(rows.layer)];
  require(rows.columns == entry.matrix.columns, where(rows) + " has rows of " + std::to_string(rows.columns) +
                                                    ", but " + slot_name(slot) + " needs " +
                                                    std::to_string(entry.matrix.columns));
  const std::lock_guard<std::mutex> lock(mutex_);
  for (int i = 0; i < rows.run_count; ++i) {
    const std::int64_t source = rows.runs[3 * i];
    const std::int64_t target = rows.runs[3 * i + 1];
    const std::int64_t count = rows.runs[3 * i + 2];
    require(
        count >= 1 && source >= 0 && source + count <= rows.rows && target >= 0 && target + count <= entry.matrix.rows,
        where(rows) + ": a run of rows goes past the tensor or past " + slot_name(slot));
    for (std::int64_t row = target; row < target + count; ++row) {
      std::uint8_t& claimed = entry.claimed[static_cast<std::size_t>(row)];
      require(claimed == 0,
              where(rows) + ": row " + std::to_string(row) + " of " + slot_name(slot) + " is loaded twice");
      claimed = 1;
    }
  }
  return entry;
}

void Weights::load(const d4j_rows& rows) {
  check_arguments(rows);
  const InputFile file(rows.path);
  const std::int64_t end = rows.offset + span_bytes(rows, rows.rows);
  if (end > file.size()) {
    throw Error(D4J_BAD_FILE, where(rows) + " ends at byte " + std::to_string(end) + " but the file has " +
                                  std::to_string(file.size()) +
                                  ". The download is probably incomplete: delete the file and load again.");
  }
  Entry& entry = claim(rows);
  WeightMatrix& matrix = entry.matrix;

  const std::int64_t size = element_bytes(rows.dtype);
  const std::int64_t columns = rows.columns;
  const std::int64_t target_row_bytes = columns * (matrix.is_float32 ? 4 : 2);
  const bool dense = rows.column_stride == 1 || columns == 1;
  // Rows are read a few at a time, so that conversion finds them in the cache; a tensor whose rows are strided is read
  // in runs, since its rows overlap in the file.
  constexpr std::int64_t kReadBytes = 1 << 20;
  const std::int64_t rows_per_read =
      dense ? std::max<std::int64_t>(1, kReadBytes / std::max<std::int64_t>(1, rows.row_stride * size))
            : std::numeric_limits<std::int64_t>::max();
  std::vector<std::uint8_t> buffer;
  std::vector<std::uint8_t> gathered(dense ? 0 : static_cast<std::size_t>(columns * size));
  std::int64_t loaded = 0;
  for (int i = 0; i < rows.run_count; ++i) {
    std::int64_t source = rows.runs[3 * i];
    std::int64_t target = rows.runs[3 * i + 1];
    std::int64_t left = rows.runs[3 * i + 2];
    loaded += left;
    while (left > 0) {
      const std::int64_t count = std::min(left, rows_per_read);
      const std::int64_t bytes = span_bytes(rows, count);
      buffer.resize(static_cast<std::size_t>(bytes));
      file.read(rows.offset + source * rows.row_stride * size, bytes, buffer.data());
      for (std::int64_t r = 0; r < count; ++r) {
        const std::uint8_t* row = buffer.data() + r * rows.row_stride * size;
        if (!dense) {
          for (std::int64_t c = 0; c < columns; ++c) {
            std::memcpy(gathered.data() + c * size, row + c * rows.column_stride * size,
                        static_cast<std::size_t>(size));
          }
          row = gathered.data();
        }
        if (!all_finite(row, columns, rows.dtype)) {
          throw Error(D4J_BAD_FILE, where(rows) + " holds NaN or infinity in row " + std::to_string(source + r) +
                                        ". The weights are damaged: download the file again.");
        }
        convert(row, rows.dtype, columns,
                static_cast<std::uint8_t*>(matrix.data.data()) + (target + r) * target_row_bytes, matrix.is_float32);
      }
      source += count;
      target += count;
      left -= count;
    }
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  entry.missing -= loaded;
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

AlignedMemory Weights::take(d4j_slot slot, int layer) {
  return std::move(slots_[static_cast<std::size_t>(slot)][static_cast<std::size_t>(layer)].matrix.data);
}

std::int64_t Weights::bytes() const {
  std::int64_t bytes = 0;
  for (const std::vector<Entry>& entries : slots_) {
    for (const Entry& entry : entries) {
      bytes += entry.matrix.rows * entry.matrix.columns * (entry.matrix.is_float32 ? 4 : 2);
    }
  }
  return bytes;
}

}  // namespace dolly4j
