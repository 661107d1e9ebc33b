// Rows of a tensor in a file, wherever its strides put them, converted to the type they are computed with.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dolly4j.h"
#include "model/input_file.h"

namespace dolly4j {

/// "FILE: tensor 'NAME'", for messages.
std::string where(const d4j_rows& rows);

/// Throws D4J_INVALID_ARGUMENT unless pointers are there and sizes, strides and runs are sane: then no product of them
/// overflows 64 bits, and all runs are within the tensor. Says nothing about the slot.
void check_rows(const d4j_rows& rows);

/// Throws D4J_BAD_FILE unless the file is long enough to hold the whole tensor.
void check_extent(const InputFile& file, const d4j_rows& rows);

/// Reads rows of a tensor that check_rows and check_extent have passed, on one thread. Both arguments must outlive it.
class RowReader {
 public:
  RowReader(const InputFile& file, const d4j_rows& rows) : file_(file), rows_(rows) {}

  /// Copies the rows [first, first + count) to `target` [count, columns], row-major, float32 or else bfloat16 (rounded
  /// to nearest even). Throws D4J_BAD_FILE if a number is NaN, infinite, or beyond the range of the target's type.
  /// Reads at most 1 MiB at a time, whatever the strides.
  void read(std::int64_t first, std::int64_t count, void* target, bool to_float32);

 private:
  template <typename Target>
  void read_as(std::int64_t first, std::int64_t count, Target* target);

  const InputFile& file_;
  const d4j_rows& rows_;
  std::vector<std::uint8_t> buffer_;  // what was read and not converted yet
};

}  // namespace dolly4j
