// y[t, h, :] = sum over j of p[j] * values[j, h, :]
// with p = softmax over j of (q[t, h, :] . keys[j, h, :]) / sqrt(head_size)
// where j runs over the positions 0 .. positions[t] of the row's own sequence       (Vaswani et al. 2017, causal)
//
//   q             [rows, heads, head_size]        float32 or bfloat16, rotated
//   keys, values  [blocks, 16, heads, head_size]  float32 or bfloat16, both the same; hold this step's rows already
//   y             [rows, heads, head_size]        float32, or bfloat16 rounded to nearest even
//
// Scores, softmax and sums are float32 or wider; probabilities may be rounded to bfloat16 where keys are bfloat16. Only
// the slots of the positions 0 .. context length - 1 of a sequence hold numbers: the others may hold anything, NaN too.
// A row of y depends on its own q and its sequence's cache, not on the other rows or on which blocks the sequence has.
#pragma once

#include "ops/operand.h"
#include "ops/ragged_batch.h"

namespace dolly4j {

struct PagedAttentionArgs {
  Input q;
  Input keys;
  Input values;
  Output y;
  RaggedBatch batch;
  int heads;
  int head_size;
};

// Computes in float64, rounds once to float32, then to the type of y.
void paged_attention_oracle(const PagedAttentionArgs& args);

}  // namespace dolly4j
