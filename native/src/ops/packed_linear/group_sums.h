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

  // Block by block within a group, so that the sums of a block are all that has to stay in registers.
  template <int R, int B>
  [[gnu::noinline]] static void add_tiles(const SumPanel<X>& panel) {
    const std::uint8_t* weight = panel.weight;
    const X* x = panel.x;
    Ahead<V, B> ahead(panel);
    for (int tile = 0; tile < panel.tiles; ++tile) {
      ahead.fetch();
      for (int group = 0; group < 2; ++group) {
#pragma GCC unroll 8
        for (int line = 0; line < kGroupLines; ++line) {
          ahead.fetch();
        }
        const std::uint8_t* scales = weight + group * kScaleBytes;
        const std::uint8_t* lines = weight + 2 * kScaleBytes + group * kGroupLines * kLineBytes;
        for (int b = 0; b < B; ++b) {
          add_group<R>(lines + b * panel.block_bytes, scales + b * panel.block_bytes, x, group,
                       panel.sums + b * panel.block_sums);
        }
      }
      weight += kTileBytes;
      x += R;
    }
  }

 private:
  // A group of a block, for R rows.
  template <int R>
  [[gnu::always_inline]] static void add_group(const std::uint8_t* lines, const std::uint8_t* scales, const X* x,
                                               int group, float* sums) {
    F sum[R];
    constexpr int kLinesAtOnce = V::kDotsAtOnce * 4 / kLineInputs;
#pragma GCC unroll 2
    for (int first = 0; first < kGroupLines; first += kLinesAtOnce) {
      typename V::Dots dots[R];
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        dots[r] = V::no_dots();
      }
#pragma GCC unroll 4
      for (int line = first; line < first + kLinesAtOnce; ++line) {
        const auto quads = V::load_quads(lines + line * kLineBytes);
        const auto low = V::low(quads);
        const auto high = V::high(quads);
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r) {
          const std::int8_t* number = x[r].number[group] + line * kLineInputs;
          dots[r] = V::dot(low, V::broadcast_quad(number), dots[r]);
          dots[r] = V::dot(high, V::broadcast_quad(number + 4), dots[r]);
        }
      }
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        sum[r] = V::add(first == 0 ? V::set(-x[r].excess[group]) : sum[r], V::to_float(dots[r]));
      }
    }
    const F scale = V::load(reinterpret_cast<const float16*>(scales));
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      float* a = sums + r * kBlockOutputs;
      V::store(a, V::fma(sum[r], V::mul(scale, V::set(x[r].scale[group])), V::load(a)));
    }
  }
};

}  // namespace
}  // namespace dolly4j
