// What packed_linear.h does with the sums of a block: scale and bias, then store, gelu or add.
#pragma once

#include "ops/gelu/vector_gelu.h"
#include "ops/packed_linear.h"

namespace dolly4j {
namespace {

template <class V>
struct LinearResults {
  using F = typename V::F;

  // Asks for what `finish` of the same rows will read: rows are far apart.
  static void prefetch(const PackedLinearArgs& args, int block, int first_row, int rows) {
    if (args.result == LinearResult::add) {
      for (int row = first_row; row < first_row + rows; ++row) {
        const std::int64_t place = row * args.y_stride + std::int64_t{block} * kBlockOutputs;
        V::prefetch(args.y + place);
        if (args.addend != nullptr) {
          V::prefetch(args.addend + place);
        }
      }
    }
  }

  // The rows first_row .. first_row + rows - 1 of a block, whose sums are [rows, 16].
  static void finish(const PackedLinearArgs& args, int block, int first_row, int rows, const float* sums) {
    const int output = block * kBlockOutputs;
    const int left = args.weight.outputs - output;
    const int count = left < kBlockOutputs ? left : kBlockOutputs;
    const F bias = args.weight.bias == nullptr ? V::zero() : load(args.weight.bias + output, count);
    const bool has_scale = args.weight.type == WeightType::int8;
    const F scale = has_scale ? V::load(args.weight.scales(block)) : V::zero();
    const auto value = [&](int t) {
      const F sum = V::load(sums + t * kBlockOutputs);
      if (has_scale) {
        return args.weight.bias == nullptr ? V::mul(sum, scale) : V::fma(sum, scale, bias);
      }
      return args.weight.bias == nullptr ? sum : V::add(sum, bias);
    };
    const std::int64_t first = first_row * args.y_stride + output;
    switch (args.result) {
      case LinearResult::store:
        for (int t = 0; t < rows; ++t) {
          store(args.y + first + t * args.y_stride, value(t), count);
        }
        break;
      case LinearResult::gelu:
        for (int t = 0; t < rows; ++t) {
          const F v = value(t);
          const F gelu = args.gelu == GeluForm::erf ? VectorGelu<V>::erf_form(v) : VectorGelu<V>::tanh_form(v);
          const std::int64_t place = args.activated.place(first_row + t, output);
          if (args.activated.dtype == DType::bfloat16) {
            store(static_cast<bfloat16*>(args.activated.data) + place, gelu, count);
          } else {
            store(static_cast<float*>(args.activated.data) + place, gelu, count);
          }
        }
        break;
      case LinearResult::add:
        for (int t = 0; t < rows; ++t) {
          F v = value(t);
          const std::int64_t place = first + t * args.y_stride;
          if (args.addend != nullptr) {
            v = V::add(v, load(args.addend + place, count));
          }
          store(args.y + place, V::add(load(args.y + place, count), v), count);
        }
        break;
    }
  }

 private:
  static F load(const float* from, int count) {
    return count == kBlockOutputs ? V::load(from) : V::load_first(from, count);
  }
  template <class Number>
  static void store(Number* to, F x, int count) {
    if (count == kBlockOutputs) {
      V::store(to, x);
    } else {
      V::store_first(to, x, count);
    }
  }
};

}  // namespace
}  // namespace dolly4j
