#include <cmath>

#include "cpu/flush_denormals.h"
#include "cpu/vector_generic.h"
#include "ops/gelu/vector_gelu.h"
#include "ops/packed_linear.h"

namespace dolly4j {
namespace {

float weight_at(const PackedWeight& weight, int output, int input) {
  const void* block = weight.block(output / kBlockOutputs);
  const int lane = output % kBlockOutputs;
  if (weight.type == WeightType::float32) {
    return static_cast<const float*>(block)[input * kBlockOutputs + lane];
  }
  return to_float(static_cast<const bfloat16*>(block)[(input / 2 * kBlockOutputs + lane) * 2 + input % 2]);
}

float sum_of(const PackedLinearArgs& args, int row, int output) {
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
      float v = sum_of(args, t, n);
      if (args.weight.bias != nullptr) {
        v = v + args.weight.bias[n];
      }
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
