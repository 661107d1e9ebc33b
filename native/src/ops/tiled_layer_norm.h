// layer_norm.h for the CPU kernels: rows of choice, results as the inputs of a matmul (activations.h).
//
//   x         [*, hidden]  float32
//   rows      [count]      which rows of x; null for 0 .. count - 1
//   y         [count, hidden], one per norm: Activations float32 or bfloat16 (rounded to nearest even)
//
// In float32, on 16 virtual lanes (column % 16) that are added by the tree of Generic::sum at last; columns beyond
// hidden add 0:
//
//   mean = (sum of x) / hidden        d = x - mean        variance = (sum by fma(d, d, sum)) / hidden
//   y = fma(d * (1 / sqrt(variance + epsilon)), gamma, beta)
#pragma once

#include <cstdint>

#include "ops/activations.h"

namespace dolly4j {

enum class Isa;  // cpu/isa.h

struct TiledNormOutput {
  const float* gamma;
  const float* beta;
  Activations y;
};

struct TiledLayerNormArgs {
  const float* x;
  const std::int32_t* rows;
  const TiledNormOutput* norms;
  int norm_count;  // 1 or 2
  int hidden_size;
  float epsilon;
};

// Rows first .. last - 1 of the result.
using TiledLayerNormFn = void (*)(const TiledLayerNormArgs& args, int first, int last);

TiledLayerNormFn tiled_layer_norm(Isa isa);

}  // namespace dolly4j
