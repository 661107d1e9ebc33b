#include "model/tensor_rows.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <type_traits>

#include "api/error.h"
#include "cpu/bfloat16.h"
#include "cpu/float16.h"

namespace dolly4j {
namespace {

std::int64_t element_bytes(std::int32_t dtype) { return dtype == D4J_FLOAT32 ? 4 : 2; }

void require_range(const d4j_rows& rows, const char* name, std::int64_t value, std::int64_t low, std::int64_t high) {
  require(value >= low && value <= high, [&] { return where(rows) + ": " + range_message(name, value, low, high); });
}

/// Bytes from the first to past the last element of so many rows and columns.
std::int64_t span_bytes(const d4j_rows& rows, std::int64_t row_count, std::int64_t column_count) {
  const std::int64_t last = (row_count - 1) * rows.row_stride + (column_count - 1) * rows.column_stride;
  return (last + 1) * element_bytes(rows.dtype);
}

/// Rows and columns of the tensor that are read at once.
struct PieceSize {
  std::int64_t rows;
  std::int64_t columns;
};

/// How many of `count` neighbours, each of `bytes` and `stride` bytes from the next, to read at once.
std::int64_t neighbours_per_read(std::int64_t count, std::int64_t bytes, std::int64_t stride) {
  constexpr std::int64_t kReadBytes = 1 << 20;  // fits the second-level cache, where conversion finds it
  constexpr std::int64_t kGapBytes = 1 << 12;   // a gap that costs more to read than another call
  if (stride - bytes > kGapBytes || bytes >= kReadBytes) {
    return 1;
  }
  return stride == 0 ? count : std::min(count, 1 + (kReadBytes - bytes) / stride);
}

/// Whole rows, or part of one; by columns where the tensor is stored by columns.
PieceSize piece_size(const d4j_rows& rows, std::int64_t count) {
  const std::int64_t size = element_bytes(rows.dtype);
  const std::int64_t row_stride = rows.row_stride * size;
  const std::int64_t column_stride = rows.column_stride * size;
  if (rows.columns == 1 || rows.column_stride <= rows.row_stride) {
    const std::int64_t columns = neighbours_per_read(rows.columns, size, column_stride);
    return {columns < rows.columns ? 1 : neighbours_per_read(count, span_bytes(rows, 1, columns), row_stride), columns};
  }
  const std::int64_t row_count = neighbours_per_read(count, size, row_stride);
  return {row_count,
          row_count < count ? 1 : neighbours_per_read(rows.columns, span_bytes(rows, count, 1), column_stride)};
}

float to_float(float value) { return value; }

template <typename Target, typename Source>
Target converted(Source value) {
  if constexpr (std::is_same_v<Source, Target>) {
    return value;
  } else if constexpr (std::is_same_v<Target, bfloat16>) {
    return to_bfloat16(to_float(value));
  } else {
    return to_float(value);
  }
}

/// The bits of the exponent, those of infinity and NaN the largest. Signed: compilers make vectors of a maximum of
/// those.
std::int32_t exponent_of(float value) {
  std::int32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits & 0x7f800000;
}

std::int16_t exponent_of(bfloat16 value) { return static_cast<std::int16_t>(value.bits & 0x7f80); }

/// Converts `count` elements, `stride` elements apart; false if a result is not finite. May be done in place.
template <typename Source, typename Target>
bool convert(const std::uint8_t* source, std::int64_t stride, std::int64_t count, Target* target) {
  decltype(exponent_of(Target{})) largest = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    Source element;
    std::memcpy(&element, source + i * stride * static_cast<std::int64_t>(sizeof element), sizeof element);
    target[i] = converted<Target>(element);
    largest = std::max(largest, exponent_of(target[i]));
  }
  return largest != exponent_of(converted<Target>(std::numeric_limits<float>::infinity()));
}

template <typename Source, typename Target>
bool convert_row(const std::uint8_t* source, std::int64_t stride, std::int64_t count, Target* target) {
  // Two loops for the compiler: neighbours become vectors.
  return stride == 1 ? convert<Source>(source, 1, count, target) : convert<Source>(source, stride, count, target);
}

template <typename Target>
bool convert_row(std::int32_t dtype, const std::uint8_t* source, std::int64_t stride, std::int64_t count,
                 Target* target) {
  switch (dtype) {
    case D4J_FLOAT32:
      return convert_row<float>(source, stride, count, target);
    case D4J_BFLOAT16:
      return convert_row<bfloat16>(source, stride, count, target);
    default:
      return convert_row<float16>(source, stride, count, target);
  }
}

constexpr d4j_dtype type_of(const float*) { return D4J_FLOAT32; }
constexpr d4j_dtype type_of(const bfloat16*) { return D4J_BFLOAT16; }

}  // namespace

std::string where(const d4j_rows& rows) { return std::string(rows.path) + ": tensor '" + rows.name + "'"; }

void check_rows(const d4j_rows& rows) {
  require(rows.name != nullptr && rows.path != nullptr && rows.runs != nullptr, "rows: name, path and runs are needed");
  require_range(rows, "dtype", rows.dtype, D4J_FLOAT32, D4J_FLOAT16);
  require_range(rows, "slot", rows.slot, 0, D4J_SLOT_COUNT - 1);
  // No file is as large; the products and sums below and above stay far within 64 bits.
  constexpr std::int64_t kMost = std::int64_t{1} << 40;
  constexpr std::int64_t kMostRows = std::int64_t{1} << 30;
  require_range(rows, "offset", rows.offset, 0, kMost);
  require_range(rows, "rows", rows.rows, 1, kMostRows);
  require_range(rows, "columns", rows.columns, 1, kMostRows);
  require_range(rows, "row_stride", rows.row_stride, 0, kMost / rows.rows);
  require_range(rows, "column_stride", rows.column_stride, 0, kMost / rows.columns);
  require_range(rows, "run_count", rows.run_count, 1, kMostRows);
  for (std::int64_t i = 0; i < rows.run_count; ++i) {
    const std::int64_t source = rows.runs[3 * i];
    const std::int64_t count = rows.runs[3 * i + 2];
    if (count < 1 || source < 0 || source + count > rows.rows) {
      throw Error(D4J_INVALID_ARGUMENT, where(rows) + ": run " + std::to_string(i) + " has " + std::to_string(count) +
                                            " rows from row " + std::to_string(source) + "; the tensor has " +
                                            std::to_string(rows.rows));
    }
  }
}

void check_extent(const InputFile& file, const d4j_rows& rows) {
  const std::int64_t end = rows.offset + span_bytes(rows, rows.rows, rows.columns);
  if (end > file.size()) {
    throw Error(D4J_BAD_FILE, where(rows) + " ends at byte " + std::to_string(end) + " but the file has " +
                                  std::to_string(file.size()) +
                                  ". The download is probably incomplete: delete the file and load again.");
  }
}

template <typename Target>
void RowReader::read_as(std::int64_t first, std::int64_t count, Target* target) {
  const std::int64_t size = element_bytes(rows_.dtype);
  const PieceSize piece = piece_size(rows_, count);
  // Rows that lie in the file as they are wanted are read to their place.
  const bool in_place = rows_.dtype == type_of(target) && rows_.column_stride == 1 &&
                        rows_.row_stride == rows_.columns && piece.columns == rows_.columns;
  for (std::int64_t row = 0; row < count; row += piece.rows) {
    const std::int64_t row_count = std::min(piece.rows, count - row);
    for (std::int64_t column = 0; column < rows_.columns; column += piece.columns) {
      const std::int64_t column_count = std::min(piece.columns, rows_.columns - column);
      const std::int64_t element = (first + row) * rows_.row_stride + column * rows_.column_stride;
      const std::int64_t offset = rows_.offset + element * size;
      const std::int64_t bytes = span_bytes(rows_, row_count, column_count);
      if (!in_place && static_cast<std::int64_t>(buffer_.size()) < bytes) {
        buffer_.resize(static_cast<std::size_t>(bytes));
      }
      std::uint8_t* source = in_place ? reinterpret_cast<std::uint8_t*>(target + row * rows_.columns) : buffer_.data();
      file_.read(offset, bytes, source);
      for (std::int64_t r = 0; r < row_count; ++r) {
        if (!convert_row(rows_.dtype, source + r * rows_.row_stride * size, rows_.column_stride, column_count,
                         target + (row + r) * rows_.columns + column)) {
          throw Error(D4J_BAD_FILE, where(rows_) + " holds NaN, infinity or a number too large in row " +
                                        std::to_string(first + row + r) +
                                        ". The weights are damaged: download the file again.");
        }
      }
    }
  }
}

void RowReader::read(std::int64_t first, std::int64_t count, void* target, bool to_float32) {
  if (to_float32) {
    read_as(first, count, static_cast<float*>(target));
  } else {
    read_as(first, count, static_cast<bfloat16*>(target));
  }
}

}  // namespace dolly4j
