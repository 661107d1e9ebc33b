// Rows of a tensor in a file, wherever its strides put them, converted to the type they are computed with.
#pragma once

#include <cstdint>
#include <string>

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

/// Copies the rows [first, first + count) to `target` [count, columns], row-major, float32 or else bfloat16 (rounded to
/// nearest even). Throws D4J_BAD_FILE if a number is NaN, infinite, or beyond the range of the target's type. Reads at
/// most 1 MiB at a time, whatever the strides.
void read_rows(const InputFile& file, const d4j_rows& rows, std::int64_t first, std::int64_t count, void* target,
               bool to_float32);

}  // namespace dolly4j
