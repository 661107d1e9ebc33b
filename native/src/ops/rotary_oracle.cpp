#include <cmath>

#include "ops/rotary.h"

namespace dolly4j {
namespace {

void rotate_head(const float* in, std::int64_t head, const Output& out, float position, const RotaryArgs& args) {
  const int half = args.rotary_dims / 2;
  for (int i = 0; i < half; i++) {
    const float angle = position * args.inverse_frequencies[i];
    const double cosine = static_cast<float>(std::cos(static_cast<double>(angle)));
    const double sine = static_cast<float>(std::sin(static_cast<double>(angle)));
    out.set(head + i, static_cast<float>(in[i] * cosine - in[i + half] * sine));
    out.set(head + i + half, static_cast<float>(in[i + half] * cosine + in[i] * sine));
  }
  for (int i = args.rotary_dims; i < args.head_size; i++) {
    out.set(head + i, in[i]);
  }
}

}  // namespace

void rotary_oracle(const RotaryArgs& args) {
  for (int t = 0; t < args.rows; t++) {
    const auto position = static_cast<float>(args.positions[t]);
    for (int h = 0; h < args.heads; h++) {
      const std::int64_t in = t * args.input_stride + std::int64_t{h} * args.head_size;
      const std::int64_t out = (std::int64_t{t} * args.heads + h) * args.head_size;
      rotate_head(args.q + in, out, args.q_out, position, args);
      rotate_head(args.k + in, out, args.k_out, position, args);
    }
  }
}

}  // namespace dolly4j
