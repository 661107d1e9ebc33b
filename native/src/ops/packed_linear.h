// v[t, n] = sum over k of x[t, k] * weight[n, k]  +  bias[n]        as ops/linear.h, of weights in the packed layout
//
//   x       [rows, inputs]     Activations, float32 for float32 weights, else bfloat16
//   weight  [outputs, inputs]  packed, see PackedWeight
//   bias    [outputs]          float32, or null for none
//   v       [rows, outputs]    float32, goes on to one of
//     store  y[t, n] = v[t, n]
//     gelu   activated[t, n] = gelu(v[t, n]), rounded to nearest even in bfloat16
//     add    y[t, n] = y[t, n] + (v[t, n] + addend[t, n]), without addend y[t, n] + v[t, n]      (the residual)
//
// Every sum over k is made in one order, whatever the number of rows, of threads, or the instruction set: same bits.
// The orders, as chains of fused multiply-adds (rounded once) from +0, denormals flushed to 0 on the way in and out:
//
//   float32            a = fma(x[k], w[k], a)                                           for k = 0, 1, 2, ...
//   bfloat16, pairs    a = fma(x[k + 1], w[k + 1], a), a = fma(x[k], w[k], a)           for k = 0, 2, 4, ...
//                      what VDPBF16PS does
//   bfloat16, tiles    e = 0, o = 0
//                      e = fma(x[j], w[j], e), o = fma(x[j + 1], w[j + 1], o)           for j = k, k + 2, .. k + 30
//                      a = a + (e + o)                                                  for k = 0, 32, 64, ...
//                      what AMX's TDPBF16PS does
//   int8, int4         x[k .. k + 63] is quantised: p[j] = x[j] * (127 / m), of -127 .. 127 and rounded to nearest
//                      even, with m = the largest |x[j]|, and s = m / 127; all 0 where m < 2^-100; s is NaN where an
//                      x[j] is NaN or infinite
//                      a = fma(sum of p[j] * w[j], t, a)                                for k = 0, 64, 128, ...
//                      with w = the whole numbers, so that their sum is exact, and t = s, of int4 scale[n, k / 64] * s
//
// The bias is added to the sum at last; int8: v = fma(a, scale[n], bias[n]), without bias a * scale[n]. What pads the
// inputs are zeros, which change no sum.
#pragma once

#include <cstdint>

#include "cpu/isa.h"
#include "ops/activations.h"
#include "ops/gelu.h"

namespace dolly4j {

enum class WeightType { float32, bfloat16, int8, int4 };

// Whether weights are whole numbers, multiplied by groups.
constexpr bool in_groups(WeightType type) { return type == WeightType::int8 || type == WeightType::int4; }

enum class SumOrder { pairs, tiles };

constexpr int kBlockOutputs = 16;

// Bytes of a line of a block, which is a cache line and what one vector instruction of AVX-512 takes.
constexpr int kLineBytes = 64;

// int8, int4: inputs that share a scale, of x and of int4 weights, and inputs that lie together.
constexpr int kGroupInputs = 64;
constexpr int kGroupPairInputs = 2 * kGroupInputs;

// int8, int4: numbers that share a scale are taken for 0 if the largest magnitude among them is less than this. 127
// divided by it could be infinite.
constexpr float kSmallestOfLargest = 0x1p-100F;

// Of what lies in a file of packed weights: to be raised whenever the bytes that a checkpoint's rows become change, be
// it by the layout, its padding or the rounding.
constexpr std::uint32_t kPackedVersion = 3;

// A matrix in blocks of 16 outputs, which lie behind each other:
//
//   float32   [inputs, 16 outputs]                  64 bytes an input
//   bfloat16  [inputs / 2, 16 outputs, 2 inputs]    64 bytes a pair of inputs, "VNNI" order
//   int8      [16 outputs] float32, the scales, then [inputs / 4, 16 outputs, 4 inputs], of -127 .. 127 and 128 more
//   int4      [inputs / 128] of
//               [2 groups, 16 outputs] float16, the scales
//               [2 groups, 64 inputs / 8, 16 outputs, 4 inputs], two numbers a byte, of -8 .. 7 and 8 more: input j of
//               8 in the lower half, j + 4 in the upper one
//
// so that 1 KiB of bfloat16 or int8 is an AMX tile, and one mask and one shift make of a line of int4 two operands of a
// dot product of bytes. Inputs are padded to a multiple of 32, of int8 and int4 to one of 128; padding is 0, and
// outputs that pad have scale 0. 64-byte aligned.
struct PackedWeight {
  WeightType type;
  int outputs;
  int inputs;
  const void* data;
  const float* bias;  // or null

  [[gnu::always_inline]] int blocks() const { return (outputs + kBlockOutputs - 1) / kBlockOutputs; }
  [[gnu::always_inline]] int padded_inputs() const {
    const int multiple = in_groups(type) ? kGroupPairInputs : kTileInputs;
    return (inputs + multiple - 1) / multiple * multiple;
  }
  [[gnu::always_inline]] std::int64_t block_bytes() const {
    const std::int64_t numbers = std::int64_t{padded_inputs()} * kBlockOutputs;
    switch (type) {
      case WeightType::float32:
        return numbers * 4;
      case WeightType::bfloat16:
        return numbers * 2;
      case WeightType::int8:
        return numbers + scale_bytes();
      case WeightType::int4:
        break;
    }
    return numbers / 2 + numbers / kGroupInputs * 2;
  }
  // int8: of the scales before a block's numbers; else 0.
  [[gnu::always_inline]] int scale_bytes() const { return type == WeightType::int8 ? kBlockOutputs * 4 : 0; }
  [[gnu::always_inline]] const void* block(int i) const {
    return static_cast<const std::uint8_t*>(data) + i * block_bytes();
  }
  // Where the numbers begin.
  [[gnu::always_inline]] const std::uint8_t* numbers(int i) const {
    return static_cast<const std::uint8_t*>(block(i)) + scale_bytes();
  }
  // int8: [16].
  [[gnu::always_inline]] const float* scales(int i) const { return static_cast<const float*>(block(i)); }
};

enum class LinearResult { store, gelu, add };

struct PackedLinearArgs {
  PackedWeight weight;
  SumOrder order;  // of bfloat16
  Activations x;
  void* prepared;  // what `prepare` makes of x; 64-byte aligned, may be null where that is nothing
  int rows;
  LinearResult result;
  float* y;               // store, add: [rows, y_stride]
  std::int64_t y_stride;  // numbers from a row of y, and of addend, to the next
  const float* addend;    // add: or null
  GeluForm gelu;          // gelu
  Activations activated;  // gelu
};

// In two steps, each of them divided between threads, whose denormals are flushed (cpu/flush_denormals.h):
//
//   prepare  brings the rows first_row .. last_row - 1 of x into the form that `run` reads, in args.prepared: in the
//            order of its loops, int8 and int4 quantised. Reads only x and rows of args.
//   run      computes the outputs of the blocks first_block .. last_block - 1 for all rows, once all are prepared.
//            `scratch` is for this thread alone, 64-byte aligned.
struct PackedLinear {
  void (*prepare)(const PackedLinearArgs& args, int first_row, int last_row);
  void (*run)(const PackedLinearArgs& args, int first_block, int last_block, void* scratch);
  std::int64_t (*prepared_bytes)(int rows, int inputs);  // for up to so many rows and inputs
  std::int64_t (*scratch_bytes)(int rows);               // for up to so many rows
};

// The implementation for an instruction set that this CPU has; `order` for bfloat16 weights.
PackedLinear packed_linear(Isa isa, WeightType type, SumOrder order);

#if defined(__x86_64__)
// Whether this CPU's VDPBF16PS, which it has, adds in the order above, the second of a pair first.
bool vdpbf16ps_has_pairs_order();
#endif

// Plain loops in the orders above; slow. Outputs of all blocks.
void packed_linear_oracle(const PackedLinearArgs& args);

// Puts `count` rows of the matrix, row-major [count, inputs], into the blocks from output first_output on. They are of
// the weight's own type; of float32 for int8 and int4, to be quantised as in ops/quantization.h.
void pack_outputs(const PackedWeight& weight, void* data, int first_output, int count, const void* rows);

}  // namespace dolly4j
