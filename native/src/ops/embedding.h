// y[t, :] = table[tokens[t], :]                          for every row t
//
//   tokens  [rows]           int32, each in 0 .. vocab_size - 1 (the caller has checked)
//   table   [vocab, hidden]  float32 or bfloat16
//   y       [rows, hidden]   float32
//
// Exact: bfloat16 is widened.
#pragma once

#include <cstdint>

#include "ops/operand.h"

namespace dolly4j {

struct EmbeddingArgs {
  const std::int32_t* tokens;
  Input table;
  float* y;
  int rows;
  int hidden_size;
};

void embedding_oracle(const EmbeddingArgs& args);

}  // namespace dolly4j
