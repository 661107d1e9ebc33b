// How far an implementation may be from the oracle of its op. The only place for such numbers.
//
// An element passes if  |actual - expected| <= of_magnitude * magnitude + of_value * value, where
//   magnitude  is the size of the numbers that rounding errors in float32 come from (said per op in conformance.cpp)
//   value      is |expected|, or for attention the sum of p |v|
// and of the elements of a bfloat16 result at most the share `differing` may have other bits than the oracle's: a
// wrong rounding would change half of them, and yet each by one unit in the last place only. Where that share is 1, at
// most three quarters of those that differ may be nearer to zero than the oracle's.
#pragma once

#include <stdexcept>

#include "ops/operand.h"

namespace dolly4j::test {

enum class Op {
  embedding,
  layer_norm,
  linear,
  gelu,
  rotary,
  kv_append,
  paged_attention,
  residual_add,
  decoder_step,
  quantised_decoder_step
};

enum class Device { cpu, cuda };

struct Tolerance {
  double of_magnitude;
  double of_value;
  double differing;
};

// inputs: type of the matmul inputs or of the KV cache, float32 for ops without; result: type of y.
inline Tolerance tolerance(Op op, Device device, DType inputs, DType result) {
  // Neighbouring bfloat16 numbers are up to 2^-7 of their value apart; probabilities rounded to bfloat16 are each off
  // by up to 2^-9, and so is their sum.
  constexpr double kUlp = 0x1p-7;
  constexpr double kProbabilities = 0x1p-8;
  // libtorch lets a CUDA matmul of bfloat16 round the sums of parts of k to bfloat16 before it adds them.
  constexpr double kPartialSums = 0x1p-9;
  constexpr DType f32 = DType::float32;
  constexpr DType b16 = DType::bfloat16;
  struct Row {
    Op op;
    DType inputs;
    DType result;
    Tolerance cpu;
    Tolerance cuda;
  };
  // cuda: the device's exp, erf and tanh are a few units worse than the CPU's.
  constexpr Row kTable[] = {
      {Op::embedding, f32, f32, {0, 0, 0}, {0, 0, 0}},
      {Op::embedding, b16, f32, {0, 0, 0}, {0, 0, 0}},
      {Op::layer_norm, f32, f32, {1e-6, 0, 0}, {1e-6, 0, 0}},
      {Op::layer_norm, f32, b16, {1e-6, kUlp, 0.02}, {1e-6, kUlp, 0.02}},
      {Op::linear, f32, f32, {1e-6, 0, 0}, {1e-6, 0, 0}},
      {Op::linear, b16, f32, {1e-6, 0, 0}, {1e-6, 0, 0}},
      {Op::linear, b16, b16, {1e-6, kUlp, 0.02}, {kPartialSums, kUlp, 0.02}},
      {Op::gelu, f32, f32, {3e-7, 0, 0}, {5e-7, 0, 0}},
      {Op::gelu, f32, b16, {3e-7, kUlp, 0.02}, {5e-7, kUlp, 0.03}},
      {Op::rotary, f32, f32, {3e-7, 0, 0}, {3e-7, 0, 0}},
      {Op::rotary, f32, b16, {3e-7, kUlp, 0.02}, {3e-7, kUlp, 0.02}},
      {Op::kv_append, f32, f32, {0, 0, 0}, {0, 0, 0}},
      {Op::kv_append, f32, b16, {0, 0, 0}, {0, 0, 0}},
      {Op::paged_attention, f32, f32, {5e-7, 0, 0}, {1e-6, 0, 0}},
      {Op::paged_attention, f32, b16, {5e-7, kUlp, 0.02}, {1e-6, kUlp, 0.02}},
      {Op::paged_attention, b16, f32, {5e-7, kProbabilities, 0}, {1e-6, kProbabilities, 0}},
      {Op::paged_attention, b16, b16, {5e-7, kProbabilities + kUlp, 1}, {1e-6, kProbabilities + kUlp, 1}},
      {Op::residual_add, f32, f32, {0, 0, 0}, {0, 0, 0}},
      // magnitude: the largest number of the tensor; of a random model, where errors grow from block to block.
      {Op::decoder_step, f32, f32, {3e-6, 0, 0}, {3e-6, 0, 0}},
      {Op::decoder_step, b16, f32, {1e-2, 0, 0}, {2e-2, 0, 0}},
      // Inputs are rounded to 127 steps, of which the difference of a bit may make the next one.
      {Op::quantised_decoder_step, b16, f32, {2e-2, 0, 0}, {2e-2, 0, 0}},
  };
  for (const Row& row : kTable) {
    if (row.op == op && row.inputs == inputs && row.result == result) {
      return device == Device::cpu ? row.cpu : row.cuda;
    }
  }
  throw std::logic_error("no tolerance is given for this op with these types");
}

}  // namespace dolly4j::test
