// quantization.h on vectors: a lane is an output, so that scales and sums need no step across lanes.
//
// The rows are transposed into scratch, and there searched as often as it takes; the search for scales of int4, about 60
// vector instructions for each 16 weights, is what bounds it.
#pragma once

#include <cstdint>
#include <cstring>

#include "ops/quantization.h"

namespace dolly4j {
namespace {

template <class V>
class Quantization {
 public:
  static void run(const QuantizeArgs& args) {
    const Quantization block(args);
    block.transpose();
    if (args.weight.type == WeightType::int8) {
      block.make_int8();
    } else {
      block.make_int4();
    }
  }

 private:
  using F = typename V::F;

  static constexpr float kSmallestOfLargest = 0x1p-100F;

  explicit Quantization(const QuantizeArgs& args)
      : args_(args), inputs_(args.weight.padded_inputs()), columns_(static_cast<float*>(args.scratch)) {}

  void transpose() const {
    std::memset(columns_, 0, static_cast<std::size_t>(inputs_) * kBlockOutputs * sizeof(float));
    // 16 numbers of every row, a cache line, at a time.
    for (int k = 0; k < args_.weight.inputs; k += kBlockOutputs) {
      const int left = args_.weight.inputs - k;
      const int numbers = left < kBlockOutputs ? left : kBlockOutputs;
      for (int i = 0; i < args_.count; ++i) {
        const float* row = args_.rows + std::int64_t{i} * args_.weight.inputs + k;
        float* to = columns_ + std::int64_t{k} * kBlockOutputs + args_.first_lane + i;
        for (int j = 0; j < numbers; ++j) {
          to[j * kBlockOutputs] = row[j];
        }
      }
    }
  }

  F column(int k) const { return V::load(columns_ + std::int64_t{k} * kBlockOutputs); }

  // a / b, 0 in the lanes where m is taken for 0.
  static F quotient(F m, F a, F b) {
    return V::where_less(V::abs(m), V::set(kSmallestOfLargest), V::zero(), V::div(a, b));
  }
  static F whole(F x, float least, float most) { return V::round(V::min(V::max(x, V::set(least)), V::set(most))); }

  // Bytes of this block's lanes, from a vector's.
  void put(void* to, const void* from, int lane_bytes) const {
    const auto offset = static_cast<std::size_t>(args_.first_lane * lane_bytes);
    std::memcpy(static_cast<std::uint8_t*>(to) + offset, static_cast<const std::uint8_t*>(from) + offset,
                static_cast<std::size_t>(args_.count * lane_bytes));
  }

  void make_int8() const {
    F m = V::zero();
    for (int k = 0; k < inputs_; ++k) {
      m = V::max(m, V::abs(column(k)));
    }
    float scales[kBlockOutputs];
    V::store(scales, quotient(m, m, V::set(127)));
    put(args_.block, scales, sizeof(float));
    const F factor = quotient(m, V::set(127), m);
    auto* to = static_cast<std::uint8_t*>(args_.block) + args_.weight.scale_bytes();
    for (int k = 0; k < inputs_; ++k) {
      std::int8_t numbers[kBlockOutputs];
      V::store_int8(numbers, whole(V::mul(column(k), factor), -127, 127));
      put(to, numbers, 1);
      to += kBlockOutputs;
    }
  }

  void make_int4() const {
    auto* to = static_cast<std::uint8_t*>(args_.block);
    for (int k = 0; k < inputs_; k += kGroupPairInputs) {
      std::uint8_t* numbers = to + 2 * kBlockOutputs * sizeof(float16);
      for (int group = 0; group < 2; ++group) {
        make_group(k + group * kGroupInputs, to, numbers);
        to += kBlockOutputs * sizeof(float16);
        numbers += kGroupInputs * kBlockOutputs / 2;
      }
      to = numbers;
    }
  }

  void make_group(int first, void* scales, std::uint8_t* numbers) const {
    const F scale = scale_of_group(first);
    float16 halves[kBlockOutputs];
    float lanes[kBlockOutputs];
    V::store(lanes, scale);
    for (int i = 0; i < kBlockOutputs; ++i) {
      halves[i] = to_float16(lanes[i]);
    }
    put(scales, halves, sizeof(float16));
    const F rounded = V::load(halves);
    const F factor = quotient(rounded, V::set(1), rounded);
    for (int k = 0; k < kGroupInputs; k += 8) {
      std::uint8_t line[kBlockOutputs][4] = {};
      for (int j = 0; j < 4; ++j) {
        std::int8_t low[kBlockOutputs];
        std::int8_t high[kBlockOutputs];
        V::store_int8(low, V::add(whole(V::mul(column(first + k + j), factor), -8, 7), V::set(8)));
        V::store_int8(high, V::add(whole(V::mul(column(first + k + j + 4), factor), -8, 7), V::set(8)));
        for (int i = 0; i < kBlockOutputs; ++i) {
          line[i][j] = static_cast<std::uint8_t>(low[i] | high[i] << 4);
        }
      }
      put(numbers, line, 4);
      numbers += sizeof line;
    }
  }

  F scale_of_group(int first) const {
    F m = V::zero();
    for (int k = 0; k < kGroupInputs; ++k) {
      const F w = column(first + k);
      m = V::where_less(V::abs(m), V::abs(w), w, m);
    }
    F best_scale = V::zero();
    F best = V::zero();
    for (const float divisor : kScaleDivisors) {
      const F factor = quotient(m, V::set(-divisor), m);
      F d = V::zero();
      F e = V::zero();
      for (int k = 0; k < kGroupInputs; ++k) {
        const F w = column(first + k);
        const F q = whole(V::mul(w, factor), -8, 7);
        d = V::fma(w, q, d);
        e = V::fma(q, q, e);
      }
      const F scale = quotient(m, d, e);
      const F gain = V::mul(d, scale);
      best_scale = V::where_less(best, gain, scale, best_scale);
      best = V::where_less(best, gain, gain, best);
    }
    return best_scale;
  }

  const QuantizeArgs& args_;
  const int inputs_;
  float* const columns_;  // [inputs][16]
};

}  // namespace
}  // namespace dolly4j
