// tiled_layer_norm.h, a row at a time. V is one of the structs of cpu/vector_*.h.
//
// Bound: latency of the two sums, which the contract puts into 16 lanes; a row of x stays in the first-level cache
// between the three passes. Rows, not columns, go to the threads.
#pragma once

#include "ops/tiled_layer_norm.h"

namespace dolly4j {
namespace {

template <class V>
class RowNormaliser {
 public:
  static void run(const TiledLayerNormArgs& args, int first, int last) {
    const int hidden = args.hidden_size;
    for (int t = first; t < last; ++t) {
      const float* x = args.x + std::int64_t{args.rows == nullptr ? t : args.rows[t]} * hidden;
      const F mean = V::set(mean_of(x, hidden));
      const F deviation = V::sqrt(V::set(variance_of(x, hidden, mean) + args.epsilon));
      const F scale = V::div(V::set(1.0F), deviation);
      for (int n = 0; n < args.norm_count; ++n) {
        const TiledNormOutput& norm = args.norms[n];
        if (norm.y.dtype == DType::bfloat16) {
          write<bfloat16>(x, hidden, mean, scale, norm, t);
        } else {
          write<float>(x, hidden, mean, scale, norm, t);
        }
      }
    }
  }

 private:
  using F = typename V::F;
  static constexpr int kLanes = V::kLanes;
  static_assert(kTileInputs % kLanes == 0, "a vector lies within a tile");

  static float mean_of(const float* x, int hidden) {
    F sum = V::zero();
    int column = 0;
    for (; column + kLanes <= hidden; column += kLanes) {
      sum = V::add(sum, V::load(x + column));
    }
    if (column < hidden) {
      sum = V::add(sum, V::load_first(x + column, hidden - column));
    }
    return V::sum(sum) / static_cast<float>(hidden);
  }

  static float variance_of(const float* x, int hidden, F mean) {
    F sum = V::zero();
    int column = 0;
    for (; column + kLanes <= hidden; column += kLanes) {
      const F d = V::sub(V::load(x + column), mean);
      sum = V::fma(d, d, sum);
    }
    if (column < hidden) {
      const int count = hidden - column;
      const F d = V::first(count, V::sub(V::load_first(x + column, count), mean), V::zero());
      sum = V::fma(d, d, sum);
    }
    return V::sum(sum) / static_cast<float>(hidden);
  }

  template <class Number>
  static void write(const float* x, int hidden, F mean, F scale, const TiledNormOutput& norm, int row) {
    auto* y = static_cast<Number*>(norm.y.data);
    int column = 0;
    for (; column + kLanes <= hidden; column += kLanes) {
      const F normalised = V::mul(V::sub(V::load(x + column), mean), scale);
      V::store(y + norm.y.place(row, column),
               V::fma(normalised, V::load(norm.gamma + column), V::load(norm.beta + column)));
    }
    if (column < hidden) {
      const int count = hidden - column;
      const F normalised = V::mul(V::sub(V::load_first(x + column, count), mean), scale);
      V::store_first(
          y + norm.y.place(row, column),
          V::fma(normalised, V::load_first(norm.gamma + column, count), V::load_first(norm.beta + column, count)),
          count);
    }
  }
};

}  // namespace
}  // namespace dolly4j
