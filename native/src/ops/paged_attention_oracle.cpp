#include <algorithm>
#include <cmath>
#include <vector>

#include "ops/paged_attention.h"

namespace dolly4j {
namespace {

void attend(const PagedAttentionArgs& args, int sequence, int row, int head) {
  const int head_size = args.head_size;
  const int context = args.batch.positions[row] + 1;
  const std::int64_t q = (std::int64_t{row} * args.heads + head) * head_size;
  const auto cached = [&](int position) {
    return (args.batch.slot(sequence, position) * args.heads + head) * head_size;
  };

  std::vector<double> scores;
  for (int j = 0; j < context; j++) {
    double dot = 0;
    for (int i = 0; i < head_size; i++) {
      dot += static_cast<double>(args.q.at(q + i)) * static_cast<double>(args.keys.at(cached(j) + i));
    }
    scores.push_back(dot / std::sqrt(static_cast<double>(head_size)));
  }

  const double highest = *std::max_element(scores.begin(), scores.end());
  double total = 0;
  for (double& score : scores) {
    score = std::exp(score - highest);
    total += score;
  }

  for (int i = 0; i < head_size; i++) {
    double sum = 0;
    for (int j = 0; j < context; j++) {
      sum += scores[j] / total * args.values.at(cached(j) + i);
    }
    args.y.set(q + i, static_cast<float>(sum));
  }
}

}  // namespace

void paged_attention_oracle(const PagedAttentionArgs& args) {
  for (int s = 0; s < args.batch.sequences; s++) {
    for (int t = args.batch.sequence_starts[s]; t < args.batch.sequence_starts[s + 1]; t++) {
      for (int h = 0; h < args.heads; h++) {
        attend(args, s, t, h);
      }
    }
  }
}

}  // namespace dolly4j
