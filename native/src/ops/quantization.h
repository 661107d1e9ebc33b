// How rows of a matrix become int8 or int4, and their place in packed_linear.h's layout.
//
//   int8, per row     scale = m / 127, q[k] = w[k] * (127 / m), with m = the largest |w[k]|
//   int4, per group   of 64 inputs of a row, with m = the first weight of the largest magnitude:
//                     for every divisor c: q[k] = w[k] * (-c / m), and the scale with the least squared error for these
//                     q is d / e, with d = sum of w[k] * q[k], e = sum of q[k]^2; that error is the sum of w[k]^2, less
//                     d^2 / e. Of the first c for which d^2 / e is largest
//                       scale = d / e, rounded to float16, at most its largest number;
//                     at last q[k] = w[k] * (1 / scale), 0 where the scale is 0
//
// Every q is rounded to nearest even, of int8 within -127 .. 127, of int4 within -8 .. 7. Rows or groups with m <
// 2^-100 have scale 0 and q = 0. All is float32, sums are chains of fused multiply-adds in the order of k, denormals
// flushed: same bits on every instruction set.
#pragma once

#include <cstdint>

#include "cpu/isa.h"
#include "ops/packed_linear.h"

namespace dolly4j {

// Divisors of the largest weight. With 8 it becomes -8 exactly; with more it is cut off, to the good of the others. On
// normal weights these leave a relative error of 0.0902; 240 divisors from 4 to 16 leave 0.0898, 8 alone 0.0934.
constexpr float kScaleDivisors[] = {7.0F, 7.5F, 8.0F, 8.5F, 9.0F, 10.0F};

struct QuantizeArgs {
  PackedWeight weight;  // int8 or int4
  const float* rows;    // [count, inputs], the outputs first_lane .. first_lane + count - 1 of a block of 16
  int first_lane;
  int count;
  void* block;  // which leaves its other outputs as they are
};

// Denormals are flushed (cpu/flush_denormals.h).
using QuantizeFn = void (*)(const QuantizeArgs& args);

QuantizeFn quantize_outputs(Isa isa);

// Plain loops; slow.
void quantize_outputs_oracle(const QuantizeArgs& args);

}  // namespace dolly4j
