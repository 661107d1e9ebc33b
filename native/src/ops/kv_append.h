// keys[block, slot, :, :] = k[t, :, :] and values[block, slot, :, :] = v[t, :, :]          for every row t
// with block = block_tables[sequence of t, position / 16], slot = position % 16
//
//   k, v          [rows, heads, head_size]        float32, k rotated; rows k_stride, v_stride numbers apart
//   keys, values  [blocks, 16, heads, head_size]  float32, or bfloat16 rounded to nearest even
//
// Exact but for that rounding. Writes the rows' slots and nothing else.
#pragma once

#include <cstdint>

#include "ops/operand.h"
#include "ops/ragged_batch.h"

namespace dolly4j {

struct KvAppendArgs {
  const float* k;
  std::int64_t k_stride;
  const float* v;
  std::int64_t v_stride;
  Output keys;
  Output values;
  RaggedBatch batch;
  int heads;
  int head_size;
};

void kv_append_oracle(const KvAppendArgs& args);

}  // namespace dolly4j
