// Rotates Q and K of every row by its position (rotary.h), and appends K and V to the cache (kv_append.h).
//
//   qkv        [rows, 3, heads, head_size]    float32
//   cosines    [positions, rotary_dims / 2]   float32, of the angles in rotary.h; sines likewise
//   q          [rows, heads, head_size]       float32; for a bfloat16 cache rounded to bfloat16 (to nearest even)
//   cache      PackedKvCache, float32 or bfloat16 (rounded to nearest even)
//
// Arithmetic, for i < rotary_dims / 2 and j = i + rotary_dims / 2, each fma rounded once:
//
//   out[i] = fma(in[i], cos, -(in[j] * sin))        out[j] = fma(in[j], cos, in[i] * sin)
#pragma once

#include <cstdint>

#include "ops/packed_kv_cache.h"
#include "ops/ragged_batch.h"

namespace dolly4j {

enum class Isa;  // cpu/isa.h

struct RotaryAppendArgs {
  const float* qkv;
  const float* cosines;
  const float* sines;
  float* q;
  PackedKvCache cache;
  RaggedBatch batch;
  const std::int32_t* row_sequences;  // [rows]: the sequence of every row
  int rotary_dims;                    // even, 0 .. head_size
};

// Heads first_head .. last_head - 1 of all rows, in order. (Not rows: two positions share the pairs of the values,
// which two threads must not write at once.)
using RotaryAppendFn = void (*)(const RotaryAppendArgs& args, int first_head, int last_head);

RotaryAppendFn rotary_append(Isa isa);

}  // namespace dolly4j
