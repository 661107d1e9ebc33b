#include <algorithm>
#include <cmath>

#include "cpu/float16.h"
#include "cpu/flush_denormals.h"
#include "ops/quantization.h"

namespace dolly4j {
namespace {

float whole(float x, float least, float most) { return std::nearbyint(std::clamp(x, least, most)); }

void make_int8(const QuantizeArgs& args, const float* row, int lane) {
  auto* scales = static_cast<float*>(args.block);
  auto* numbers = static_cast<std::uint8_t*>(args.block) + args.weight.scale_bytes();
  float m = 0;
  for (int k = 0; k < args.weight.inputs; ++k) {
    m = std::max(m, std::abs(row[k]));
  }
  const bool is_zero = m < kSmallestOfLargest;
  scales[lane] = is_zero ? 0 : m / 127;
  for (int k = 0; k < args.weight.padded_inputs(); ++k) {
    const float w = k < args.weight.inputs && !is_zero ? row[k] * (127 / m) : 0;
    numbers[(k / 4 * kBlockOutputs + lane) * 4 + k % 4] = static_cast<std::uint8_t>(whole(w, -127, 127) + 128);
  }
}

float scale_of_group(const float (&w)[kGroupInputs]) {
  float m = 0;
  for (const float number : w) {
    m = std::abs(number) > std::abs(m) ? number : m;
  }
  if (std::abs(m) < kSmallestOfLargest) {
    return 0;
  }
  float best_scale = 0;
  float best = 0;
  for (const float divisor : kScaleDivisors) {
    const float factor = -divisor / m;
    float d = 0;
    float e = 0;
    for (const float number : w) {
      const float q = whole(number * factor, -8, 7);
      d = std::fma(number, q, d);
      e = std::fma(q, q, e);
    }
    const float scale = d / e;
    if (best < d * scale) {
      best = d * scale;
      best_scale = scale;
    }
  }
  return best_scale;
}

void make_int4(const QuantizeArgs& args, const float* row, int lane) {
  auto* at = static_cast<std::uint8_t*>(args.block);
  for (int pair = 0; pair < args.weight.padded_inputs(); pair += kGroupPairInputs) {
    auto* scales = reinterpret_cast<float16*>(at);
    std::uint8_t* numbers = at + 2 * kBlockOutputs * sizeof(float16);
    for (int group = 0; group < 2; ++group) {
      float w[kGroupInputs] = {};
      for (int j = 0; j < kGroupInputs; ++j) {
        const int k = pair + group * kGroupInputs + j;
        w[j] = k < args.weight.inputs ? row[k] : 0;
      }
      scales[group * kBlockOutputs + lane] = to_float16(scale_of_group(w));
      const float scale = to_float(scales[group * kBlockOutputs + lane]);
      const float factor = scale == 0 ? 0 : 1 / scale;
      for (int j = 0; j < kGroupInputs; ++j) {
        const int line = group * kGroupInputs / 8 + j / 8;
        std::uint8_t& byte = numbers[(line * kBlockOutputs + lane) * 4 + j % 4];
        const auto q = static_cast<std::uint8_t>(whole(w[j] * factor, -8, 7) + 8);
        byte = j % 8 < 4 ? q : static_cast<std::uint8_t>(byte | q << 4);
      }
    }
    at = numbers + kGroupPairInputs * kBlockOutputs / 2;
  }
}

}  // namespace

void quantize_outputs_oracle(const QuantizeArgs& args) {
  const FlushDenormals flush;
  for (int i = 0; i < args.count; ++i) {
    const float* row = args.rows + std::int64_t{i} * args.weight.inputs;
    if (args.weight.type == WeightType::int8) {
      make_int8(args, row, args.first_lane + i);
    } else {
      make_int4(args, row, args.first_lane + i);
    }
  }
}

}  // namespace dolly4j
