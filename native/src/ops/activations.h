// The inputs of a matmul, [rows, inputs], in tiles of 16 rows x 32 inputs:
//
//   [ceil(rows / 16), ceil(inputs / 32), 16, 32]  float32 or bfloat16, 64-byte aligned
//
// A tile of bfloat16 is an AMX tile of 1 KiB; one that is made of rows far apart would be read from 16 pages, and with
// rows of some lengths from 16 places of one cache set. What is beyond `inputs` is 0 at all times; what is beyond the
// rows may be anything.
#pragma once

#include <cstdint>

#include "ops/operand.h"

namespace dolly4j {

constexpr int kTileRows = 16;
constexpr int kTileInputs = 32;

struct Activations {
  void* data;
  DType dtype;
  int inputs;

  [[gnu::always_inline]] int tiles_across() const { return (inputs + kTileInputs - 1) / kTileInputs; }

  // Place of an element, counted in elements. Elements of a row are neighbours within 32.
  [[gnu::always_inline]] std::int64_t place(int row, int input) const {
    const std::int64_t tile = std::int64_t{row / kTileRows} * tiles_across() + input / kTileInputs;
    return (tile * kTileRows + row % kTileRows) * kTileInputs + input % kTileInputs;
  }
};

// Elements of the tiles of so many rows.
constexpr std::int64_t activation_elements(int rows, int inputs) {
  return std::int64_t{(rows + kTileRows - 1) / kTileRows} * kTileRows * ((inputs + kTileInputs - 1) / kTileInputs) *
         kTileInputs;
}

}  // namespace dolly4j
