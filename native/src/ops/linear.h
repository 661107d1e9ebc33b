// y[t, n] = sum over k of x[t, k] * weight[n, k]  +  bias[n]
//
//   x       [rows, inputs]     float32 or bfloat16
//   weight  [outputs, inputs]  the type of x
//   bias    [outputs]          float32, or null for none
//   y       [rows, outputs]    float32, or bfloat16 rounded to nearest even
//
// Products and sums are float32 or wider. A row of y depends on no other row of x: same bits for any number of rows.
#pragma once

#include "ops/operand.h"

namespace dolly4j {

struct LinearArgs {
  Input x;
  Input weight;
  const float* bias;
  Output y;
  int rows;
  int outputs;
  int inputs;
};

// Sums in float64 in the order of k, rounds once to float32, then to the type of y.
void linear_oracle(const LinearArgs& args);

}  // namespace dolly4j
