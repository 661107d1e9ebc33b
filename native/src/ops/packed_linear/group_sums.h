// The sums of packed_linear.h with int4 weights, on vectors: dot products of bytes for a group of 64 inputs, which are
// whole numbers and exact, then one multiply-add of float32. For vector_skeleton.h, as fma_sums.h.
#pragma once

#include <cstdint>

#include "ops/packed_linear/fma_sums.h"
#include "ops/packed_linear/group_inputs.h"

namespace dolly4j {
namespace {

// A row's inputs of a pair of groups.
struct GroupPairInputs {
  alignas(16) std::int8_t number[2][kGroupInputs];
  float scale[2];
  float excess[2];
};

template <class Vector>
struct GroupSums {
  using V = Vector;
  using X = GroupPairInputs;
  using F = typename V::F;
  static constexpr int kInputs = kGroupPairInputs;
  static constexpr int kNumbers = 1;
  static constexpr int kScaleBytes = kBlockOutputs * 2;
  static constexpr int kLineBytes = 64;
  static constexpr int kLineInputs = 8;
  static constexpr int kGroupLines = kGroupInputs / kLineInputs;
  static constexpr int kTileBytes = 2 * (kScaleBytes + kGroupLines * kLineBytes);

  static void read_x(const Activations& x, int row, int tile, X* to) {
    for (int group = 0; group < 2; ++group) {
      read_group<V>(x, row, 2 * tile + group, to->number[group], &to->scale[group], &to->excess[group]);
    }
  }

  template <int R, int B>
  [[gnu::noinline]] static void add_tiles(const SumPanel<X>& panel) {
    const std::uint8_t* weight = panel.weight;
    const X* x = panel.x;
    Ahead<V, B> ahead(panel);
    for (int tile = 0; tile < panel.tiles; ++tile) {
      ahead.fetch();
      const std::uint8_t* line = weight + kLineBytes;
      for (int group = 0; group < 2; ++group) {
        F sum[B][R];
#pragma GCC unroll 4
        for (int b = 0; b < B; ++b) {
#pragma GCC unroll 16
          for (int r = 0; r < R; ++r) {
            sum[b][r] = V::zero();
          }
        }
        for (int k = 0; k < kGroupInputs; k += kDotsInputs) {
          add_dots<R, B>(panel, ahead, line, &x->number[group][k], sum);
          line += kDotsInputs / kLineInputs * kLineBytes;
        }
        const std::uint8_t* scales = weight + group * kScaleBytes;
#pragma GCC unroll 4
        for (int b = 0; b < B; ++b) {
          const F scale = V::load(reinterpret_cast<const float16*>(scales + b * panel.block_bytes));
#pragma GCC unroll 16
          for (int r = 0; r < R; ++r) {
            float* a = panel.sums + b * panel.block_sums + r * kBlockOutputs;
            const F dot = V::sub(sum[b][r], V::set(x[r].excess[group]));
            V::store(a, V::fma(dot, V::mul(scale, V::set(x[r].scale[group])), V::load(a)));
          }
        }
      }
      weight += kTileBytes;
      x += R;
    }
  }

 private:
  // Inputs of which the products are summed in one V::Dots.
  static constexpr int kDotsInputs = V::kDotsAtOnce * 4;

  // Adds the products of as many inputs, from that line of the weights and those numbers of the first row on.
  template <int R, int B>
  [[gnu::always_inline]] static void add_dots(const SumPanel<X>& panel, Ahead<V, B>& ahead, const std::uint8_t* line,
                                              const std::int8_t* numbers, F (&sum)[B][R]) {
    typename V::Dots dots[B][R];
#pragma GCC unroll 4
    for (int b = 0; b < B; ++b) {
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        dots[b][r] = V::no_dots();
      }
    }
    for (int k = 0; k < kDotsInputs; k += kLineInputs) {
      ahead.fetch();
#pragma GCC unroll 4
      for (int b = 0; b < B; ++b) {
        const auto quads = V::load_quads(line + b * panel.block_bytes);
        const auto low = V::low(quads);
        const auto high = V::high(quads);
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r) {
          const std::int8_t* number = numbers + r * std::int64_t{sizeof(X)} + k;
          dots[b][r] = V::dot(low, V::broadcast_quad(number), dots[b][r]);
          dots[b][r] = V::dot(high, V::broadcast_quad(number + 4), dots[b][r]);
        }
      }
      line += kLineBytes;
    }
#pragma GCC unroll 4
    for (int b = 0; b < B; ++b) {
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        sum[b][r] = V::add(sum[b][r], V::to_float(dots[b][r]));
      }
    }
  }
};

}  // namespace
}  // namespace dolly4j
