#include <algorithm>
#include <cmath>
#include <limits>

#include "cpu/float16.h"
#include "cpu/flush_denormals.h"
#include "cpu/vector_generic.h"
#include "ops/gelu/vector_gelu.h"
#include "ops/packed_linear.h"

namespace dolly4j {
namespace {

// Where the group of an input of int4 lies in a block, in bytes, and which of it the input is.
struct GroupPlace {
  int scales;
  int numbers;
  int input;

  explicit GroupPlace(int k) : input(k % kGroupInputs) {
    constexpr int kScaleBytes = kBlockOutputs * 2;
    constexpr int kNumberBytes = kGroupInputs * kBlockOutputs / 2;
    const int pair = k / kGroupPairInputs * 2 * (kScaleBytes + kNumberBytes);
    const int group = k / kGroupInputs % 2;
    scales = pair + group * kScaleBytes;
    numbers = pair + 2 * kScaleBytes + group * kNumberBytes;
  }
};

// A weight as it lies in the block: of int8 and int4 the whole number.
float weight_at(const PackedWeight& weight, int output, int input) {
  const std::uint8_t* block = weight.numbers(output / kBlockOutputs);
  const int lane = output % kBlockOutputs;
  switch (weight.type) {
    case WeightType::float32:
      return reinterpret_cast<const float*>(block)[input * kBlockOutputs + lane];
    case WeightType::bfloat16:
      return to_float(reinterpret_cast<const bfloat16*>(block)[(input / 2 * kBlockOutputs + lane) * 2 + input % 2]);
    case WeightType::int8:
      return static_cast<float>(block[(input / 4 * kBlockOutputs + lane) * 4 + input % 4] - 128);
    case WeightType::int4:
      break;
  }
  const GroupPlace place(input);
  const int byte = block[place.numbers + (place.input / 8 * kBlockOutputs + lane) * 4 + input % 4];
  return static_cast<float>((input % 8 < 4 ? byte & 15 : byte >> 4) - 8);
}

float sum_of_pairs(const PackedLinearArgs& args, int row, int output) {
  const auto x = [&](int k) { return Input(args.x.data, args.x.dtype).at(args.x.place(row, k)); };
  const auto w = [&](int k) { return weight_at(args.weight, output, k); };
  const int inputs = args.weight.padded_inputs();
  float a = 0;
  if (args.weight.type == WeightType::float32) {
    for (int k = 0; k < inputs; ++k) {
      a = std::fma(x(k), w(k), a);
    }
  } else if (args.order == SumOrder::pairs) {
    for (int k = 0; k < inputs; k += 2) {
      a = std::fma(x(k + 1), w(k + 1), a);
      a = std::fma(x(k), w(k), a);
    }
  } else {
    for (int k = 0; k < inputs; k += 32) {
      float e = 0;
      float o = 0;
      for (int j = k; j < k + 32; j += 2) {
        e = std::fma(x(j), w(j), e);
        o = std::fma(x(j + 1), w(j + 1), o);
      }
      a = a + (e + o);
    }
  }
  return a;
}

// The scale of a group of weights that the sum is multiplied with; int8 has one for all, which is left to the end.
float scale_of_group(const PackedWeight& weight, int output, int input) {
  if (weight.type == WeightType::int8) {
    return 1;
  }
  const std::uint8_t* scales = weight.numbers(output / kBlockOutputs) + GroupPlace(input).scales;
  return to_float(reinterpret_cast<const float16*>(scales)[output % kBlockOutputs]);
}

float sum_of_groups(const PackedLinearArgs& args, int row, int output) {
  float a = 0;
  for (int group = 0; group < args.weight.padded_inputs(); group += kGroupInputs) {
    float x[kGroupInputs] = {};
    float m = 0;
    for (int j = 0; j < kGroupInputs && group + j < args.x.inputs; ++j) {
      x[j] = Input(args.x.data, args.x.dtype).at(args.x.place(row, group + j));
      if (!std::isfinite(x[j])) {
        return std::numeric_limits<float>::quiet_NaN();
      }
      m = std::max(m, std::abs(x[j]));
    }
    if (m < kSmallestOfLargest) {
      continue;
    }
    int dot = 0;
    for (int j = 0; j < kGroupInputs; ++j) {
      const float p = std::nearbyint(std::clamp(x[j] * (127 / m), -127.0F, 127.0F));
      dot += static_cast<int>(p) * static_cast<int>(weight_at(args.weight, output, group + j));
    }
    a = std::fma(static_cast<float>(dot), scale_of_group(args.weight, output, group) * (m / 127), a);
  }
  return a;
}

float sum_of(const PackedLinearArgs& args, int row, int output) {
  return in_groups(args.weight.type) ? sum_of_groups(args, row, output) : sum_of_pairs(args, row, output);
}

float with_scale_and_bias(const PackedWeight& weight, int output, float sum) {
  if (weight.type == WeightType::int8) {
    const float scale = weight.scales(output / kBlockOutputs)[output % kBlockOutputs];
    return weight.bias == nullptr ? sum * scale : std::fma(sum, scale, weight.bias[output]);
  }
  return weight.bias == nullptr ? sum : sum + weight.bias[output];
}

float gelu_of(float v, GeluForm form) {
  const Generic::F lanes = Generic::set(v);
  const Generic::F result =
      form == GeluForm::erf ? VectorGelu<Generic>::erf_form(lanes) : VectorGelu<Generic>::tanh_form(lanes);
  return result.lane[0];
}

}  // namespace

void packed_linear_oracle(const PackedLinearArgs& args) {
  const FlushDenormals flush;
  for (int t = 0; t < args.rows; ++t) {
    for (int n = 0; n < args.weight.outputs; ++n) {
      const float v = with_scale_and_bias(args.weight, n, sum_of(args, t, n));
      const std::int64_t i = t * args.y_stride + n;
      switch (args.result) {
        case LinearResult::store:
          args.y[i] = v;
          break;
        case LinearResult::gelu:
          Output(args.activated.data, args.activated.dtype).set(args.activated.place(t, n), gelu_of(v, args.gelu));
          break;
        case LinearResult::add:
          args.y[i] = args.y[i] + (args.addend == nullptr ? v : v + args.addend[i]);
          break;
      }
    }
  }
}

}  // namespace dolly4j
