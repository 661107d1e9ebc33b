// y[i] = x[i] * Phi(x[i]), Phi the normal distribution function                          (Hendrycks and Gimpel 2016)
//
//   erf form   x / 2 * (1 + erf(x / sqrt(2)))                            exact; HF `gelu`
//   tanh form  x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))     HF `gelu_new`, `gelu_fast`
//
//   x  [count]  float32
//   y  [count]  float32, or bfloat16 rounded to nearest even
//
// The forms differ by up to 5e-4: which one is part of the model.
#pragma once

#include <cstdint>

#include "ops/operand.h"

namespace dolly4j {

enum class GeluForm { erf, tanh };

struct GeluArgs {
  const float* x;
  Output y;
  std::int64_t count;
  GeluForm form;
};

// Computes in float64, rounds once to float32, then to the type of y.
void gelu_oracle(const GeluArgs& args);

}  // namespace dolly4j
