#include "ops/embedding.h"

namespace dolly4j {

void embedding_oracle(const EmbeddingArgs& args) {
  const std::int64_t hidden = args.hidden_size;
  for (int t = 0; t < args.rows; t++) {
    for (int i = 0; i < args.hidden_size; i++) {
      args.y[t * hidden + i] = args.table.at(args.tokens[t] * hidden + i);
    }
  }
}

}  // namespace dolly4j
