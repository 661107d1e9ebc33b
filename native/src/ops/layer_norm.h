// y[t, :] = (x[t, :] - mean) / sqrt(variance + epsilon) * gamma + beta        for every row t      (Ba et al. 2016)
//
//   x      [rows, hidden]  float32
//   gamma  [hidden]        float32
//   beta   [hidden]        float32
//   y      [rows, hidden]  float32, or bfloat16 rounded to nearest even
//
// mean and variance are those of the row; the variance divides by hidden and is taken from the differences to the mean,
// so a row far from zero loses nothing. One or two norms of the same x share them: GPT-NeoX feeds attention and
// feed-forward that way.
#pragma once

#include "ops/operand.h"

namespace dolly4j {

// What one norm adds to the normalised rows, and where they go.
struct LayerNormOutput {
  const float* gamma;
  const float* beta;
  Output y;
};

struct LayerNormArgs {
  const float* x;
  const LayerNormOutput* norms;
  int norm_count;  // 1 or 2
  int rows;
  int hidden_size;
  float epsilon;
};

// Computes in float64, rounds once to float32, then to the type of y.
void layer_norm_oracle(const LayerNormArgs& args);

}  // namespace dolly4j
