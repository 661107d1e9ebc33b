#include <cmath>

#include "ops/layer_norm.h"

namespace dolly4j {

void layer_norm_oracle(const LayerNormArgs& args) {
  const int hidden = args.hidden_size;
  for (int t = 0; t < args.rows; t++) {
    const std::int64_t row = std::int64_t{t} * hidden;
    const float* x = args.x + row;

    double sum = 0;
    for (int i = 0; i < hidden; i++) {
      sum += x[i];
    }
    const double mean = sum / hidden;

    double squares = 0;
    for (int i = 0; i < hidden; i++) {
      squares += (x[i] - mean) * (x[i] - mean);
    }
    const double deviation = std::sqrt(squares / hidden + static_cast<double>(args.epsilon));

    for (int n = 0; n < args.norm_count; n++) {
      const LayerNormOutput& norm = args.norms[n];
      for (int i = 0; i < hidden; i++) {
        norm.y.set(row + i, static_cast<float>((x[i] - mean) / deviation * norm.gamma[i] + norm.beta[i]));
      }
    }
  }
}

}  // namespace dolly4j
