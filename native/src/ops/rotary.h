// Rotary position embedding (Su et al. 2021), rotate-half form: within the first rotary_dims numbers of every head of Q
// and K, element i and element i + rotary_dims / 2 are a point of the plane, turned by an angle that grows with the
// position; the numbers after them pass through.
//
//   angle     = float32(position) * inverse_frequencies[i]           one float32 product, i < rotary_dims / 2
//   out[i]                   = in[i] * cos(angle) - in[i + rotary_dims / 2] * sin(angle)
//   out[i + rotary_dims / 2] = in[i + rotary_dims / 2] * cos(angle) + in[i] * sin(angle)
//
//   q, k                 [rows, heads, head_size]  float32, rows input_stride numbers apart (slices of a fused QKV)
//   positions            [rows]                    int32
//   inverse_frequencies  [rotary_dims / 2]         float32
//   q_out, k_out         [rows, heads, head_size]  float32 or bfloat16 rounded to nearest even, dense; apart from q, k
//
// cos and sin are those of the float32 angle, rounded to float32, as in Hugging Face. They and the frequencies are
// computed without the C library, whose last bits differ between versions and CPUs.
#pragma once

#include <cstdint>
#include <vector>

#include "ops/operand.h"

namespace dolly4j {

struct RotaryArgs {
  const float* q;
  const float* k;
  std::int64_t input_stride;
  const std::int32_t* positions;
  const float* inverse_frequencies;
  Output q_out;
  Output k_out;
  int rows;
  int heads;
  int head_size;
  int rotary_dims;  // even, 0 .. head_size
};

// The rotation in float64 from float32 cos and sin, rounded once to float32, then to the type of the output.
void rotary_oracle(const RotaryArgs& args);

// 1 / base^(2 i / rotary_dims) for i < rotary_dims / 2, every step in float32 as in HF's rotary embedding. base > 0.
std::vector<float> rotary_inverse_frequencies(int rotary_dims, double base);

struct SineAndCosine {
  float sine;
  float cosine;
};

// Of an angle of at most 2^22 radians. Within half a float32's last place, and 2^-25 of one.
SineAndCosine rotary_sine_and_cosine(float angle);

}  // namespace dolly4j
