// quantization.h on vectors: a lane is an output, so that scales and sums need no step across lanes.
//
// 64 inputs of the rows at a time, a group of int4, are transposed on the stack and stay in the first-level cache; the
// search for scales of int4, about 60 vector instructions for each 16 weights, is what bounds it.
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
    Quantization block(args);
    if (args.weight.type == WeightType::int8) {
      block.make_int8();
    } else {
      block.make_int4();
    }
  }

 private:
  using F = typename V::F;

  explicit Quantization(const QuantizeArgs& args) : args_(args), inputs_(args.weight.padded_inputs()) {}

  // Columns first .. first + 63 of the rows, each a vector; 0 past the last, and in other lanes.
  void transpose(int first) {
    const int left = args_.weight.inputs - first;
    if (left < kGroupInputs) {
      std::memset(columns_, 0, sizeof columns_);
    }
    const int columns = left < kGroupInputs ? left : kGroupInputs;
    // 16 numbers of every row, a cache line, at a time.
    for (int k = 0; k < columns; k += kBlockOutputs) {
      const int numbers = columns - k < kBlockOutputs ? columns - k : kBlockOutputs;
      for (int i = 0; i < args_.count; ++i) {
        const float* row = args_.rows + std::int64_t{i} * args_.weight.inputs + first + k;
        for (int j = 0; j < numbers; ++j) {
          columns_[k + j][args_.first_lane + i] = row[j];
        }
      }
    }
  }

  F column(int k) const { return V::load(columns_[k]); }

  // The largest magnitude of every row.
  F largest() const {
    float lanes[kBlockOutputs] = {};
    for (int i = 0; i < args_.count; ++i) {
      const float* row = args_.rows + std::int64_t{i} * args_.weight.inputs;
      F m = V::zero();
      int k = 0;
      for (; k + kBlockOutputs <= args_.weight.inputs; k += kBlockOutputs) {
        m = V::max(m, V::abs(V::load(row + k)));
      }
      float rest[kBlockOutputs] = {};
      std::memcpy(rest, row + k, static_cast<std::size_t>(args_.weight.inputs - k) * sizeof(float));
      float numbers[kBlockOutputs];
      V::store(numbers, V::max(m, V::abs(V::load(rest))));
      float& lane = lanes[args_.first_lane + i];
      for (const float number : numbers) {
        lane = lane < number ? number : lane;
      }
    }
    return V::load(lanes);
  }

  // a / b, 0 in the lanes where m is taken for 0.
  static F quotient(F m, F a, F b) {
    return V::where_less(V::abs(m), V::set(kSmallestOfLargest), V::zero(), V::div(a, b));
  }
  static F whole(F x, float least, float most) { return V::round(V::min(V::max(x, V::set(least)), V::set(most))); }

  // This block's lanes of a vector, each of so many bytes.
  template <int kLaneBytes>
  void put(void* to, const void* from) const {
    if (args_.count == kBlockOutputs) {
      std::memcpy(to, from, kBlockOutputs * kLaneBytes);
      return;
    }
    const auto offset = static_cast<std::size_t>(args_.first_lane * kLaneBytes);
    std::memcpy(static_cast<std::uint8_t*>(to) + offset, static_cast<const std::uint8_t*>(from) + offset,
                static_cast<std::size_t>(args_.count * kLaneBytes));
  }

  void make_int8() {
    const F m = largest();
    float scales[kBlockOutputs];
    V::store(scales, quotient(m, m, V::set(127)));
    put<sizeof(float)>(args_.block, scales);
    const F factor = quotient(m, V::set(127), m);
    auto* to = static_cast<std::uint8_t*>(args_.block) + args_.weight.scale_bytes();
    for (int first = 0; first < inputs_; first += kGroupInputs) {
      transpose(first);
      for (int k = 0; k < kGroupInputs; k += 4) {
        std::int8_t numbers[4][kBlockOutputs];
        for (int j = 0; j < 4; ++j) {
          V::store_int8(numbers[j], whole(V::mul(column(k + j), factor), -127, 127));
        }
        std::uint32_t quads[kBlockOutputs];
        for (int i = 0; i < kBlockOutputs; ++i) {
          const auto byte = [&](int j) { return static_cast<std::uint32_t>(numbers[j][i] + 128) << (8 * j); };
          quads[i] = byte(0) | byte(1) | byte(2) | byte(3);
        }
        put<4>(to, quads);
        to += sizeof quads;
      }
    }
  }

  void make_int4() {
    auto* to = static_cast<std::uint8_t*>(args_.block);
    for (int k = 0; k < inputs_; k += kGroupPairInputs) {
      std::uint8_t* numbers = to + 2 * kBlockOutputs * sizeof(float16);
      for (int group = 0; group < 2; ++group) {
        transpose(k + group * kGroupInputs);
        make_group(to, numbers);
        to += kBlockOutputs * sizeof(float16);
        numbers += kGroupInputs * kBlockOutputs / 2;
      }
      to = numbers;
    }
  }

  void make_group(void* scales, std::uint8_t* numbers) const {
    const F scale = scale_of_group();
    float16 halves[kBlockOutputs];
    float lanes[kBlockOutputs];
    V::store(lanes, scale);
    for (int i = 0; i < kBlockOutputs; ++i) {
      halves[i] = to_float16(lanes[i]);
    }
    put<sizeof(float16)>(scales, halves);
    const F rounded = V::load(halves);
    const F factor = quotient(rounded, V::set(1), rounded);
    for (int k = 0; k < kGroupInputs; k += 8) {
      std::uint8_t line[kBlockOutputs][4] = {};
      for (int j = 0; j < 4; ++j) {
        std::int8_t low[kBlockOutputs];
        std::int8_t high[kBlockOutputs];
        V::store_int8(low, V::add(whole(V::mul(column(k + j), factor), -8, 7), V::set(8)));
        V::store_int8(high, V::add(whole(V::mul(column(k + j + 4), factor), -8, 7), V::set(8)));
        for (int i = 0; i < kBlockOutputs; ++i) {
          line[i][j] = static_cast<std::uint8_t>(low[i] | high[i] << 4);
        }
      }
      put<4>(numbers, line);
      numbers += sizeof line;
    }
  }

  F scale_of_group() const {
    F m = V::zero();
    for (int k = 0; k < kGroupInputs; ++k) {
      const F w = column(k);
      m = V::where_less(V::abs(m), V::abs(w), w, m);
    }
    F best_scale = V::zero();
    F best = V::zero();
    for (const float divisor : kScaleDivisors) {
      const F factor = quotient(m, V::set(-divisor), m);
      F d = V::zero();
      F e = V::zero();
      for (int k = 0; k < kGroupInputs; ++k) {
        const F w = column(k);
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
  alignas(64) float columns_[kGroupInputs][kBlockOutputs] = {};
};

}  // namespace
}  // namespace dolly4j
