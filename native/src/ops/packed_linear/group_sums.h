// The sums of packed_linear.h with int8 and int4 weights, on vectors: dot products of bytes for a group of 64 inputs,
// which are whole numbers and exact, then one multiply-add of float32. For vector_skeleton.h, as fma_sums.h.
#pragma once

#include <cstdint>

#include "ops/packed_linear/fma_sums.h"
#include "ops/packed_linear/group_inputs.h"

namespace dolly4j {
namespace {

// A row's inputs of a pair of groups, as the weights' dot products take them.
template <class Number>
struct GroupPairInputs {
  alignas(16) Number number[2][kGroupInputs];
  float scale[2];
  float excess[2];
};

// Weights of either type: where a pair of groups of a block lies, and how 64 bytes of it are multiplied.
template <class V>
struct Int8Groups {
  using Number = typename V::ByteNumber;
  using Weights = typename V::Bytes;
  using Dots = typename V::ByteDots;
  static constexpr int kOffset = 128;
  static constexpr int kLineInputs = 4;
  static constexpr int kScaleBytes = 0;  // of a group
  static constexpr int kLinesAtOnce = kGroupInputs / kLineInputs;

  static void spread(const std::int8_t* from, Number* to) { V::spread_bytes(from, to, kGroupInputs); }
  static Weights load(const std::uint8_t* line) { return V::load_bytes(line); }
  static Dots none() { return V::no_byte_dots(); }
  [[gnu::always_inline]] static Dots dot(Weights weights, const Number* x, Dots dots) {
    return V::dot(weights, V::broadcast_quad(x), dots);
  }
  // What the products of a group are multiplied with, the scale of x being s.
  static typename V::F factor(const std::uint8_t*, float s) { return V::set(s); }
};

template <class V>
struct Int4Groups {
  using Number = std::int8_t;
  struct Weights {
    typename V::Quads low;
    typename V::Quads high;
  };
  using Dots = typename V::Dots;
  static constexpr int kOffset = 8;
  static constexpr int kLineInputs = 8;
  static constexpr int kScaleBytes = kBlockOutputs * 2;
  static constexpr int kLinesAtOnce = V::kDotsAtOnce * 4 / kLineInputs;

  static void spread(const std::int8_t* from, Number* to) { __builtin_memcpy(to, from, kGroupInputs * sizeof(Number)); }
  static Weights load(const std::uint8_t* line) {
    const auto quads = V::load_quads(line);
    return {V::low(quads), V::high(quads)};
  }
  static Dots none() { return V::no_dots(); }
  [[gnu::always_inline]] static Dots dot(Weights weights, const Number* x, Dots dots) {
    dots = V::dot(weights.low, V::broadcast_quad(x), dots);
    return V::dot(weights.high, V::broadcast_quad(x + 4), dots);
  }
  static typename V::F factor(const std::uint8_t* scales, float s) {
    return V::mul(V::load(reinterpret_cast<const float16*>(scales)), V::set(s));
  }
};

template <class Vector, template <class> class Format>
struct GroupSums {
  using V = Vector;
  using Groups = Format<V>;
  using X = GroupPairInputs<typename Groups::Number>;
  using F = typename V::F;
  static constexpr int kInputs = kGroupPairInputs;
  static constexpr int kNumbers = 1;
  static constexpr int kLineBytes = 64;
  static constexpr int kGroupLines = kGroupInputs / Groups::kLineInputs;
  static constexpr int kTileBytes = 2 * (Groups::kScaleBytes + kGroupLines * kLineBytes);

  static void read_x(const Activations& x, int row, int tile, X* to) {
    for (int group = 0; group < 2; ++group) {
      std::int8_t numbers[kGroupInputs];
      read_group<V, Groups::kOffset>(x, row, 2 * tile + group, numbers, &to->scale[group], &to->excess[group]);
      Groups::spread(numbers, to->number[group]);
    }
  }

  // Few blocks at a time within a group, so that their sums are all that has to stay in registers.
  template <int R, int B>
  [[gnu::noinline]] static void add_tiles(const SumPanel<X>& panel) {
    constexpr int kBlocks = B * R <= V::kMostDots ? B : B > 1 && 2 * R <= V::kMostDots ? 2 : 1;
    const std::uint8_t* weight = panel.weight;
    const X* x = panel.x;
    Ahead<V, B> ahead(panel);
    for (int tile = 0; tile < panel.tiles; ++tile) {
      for (int line = 0; line < 2 * Groups::kScaleBytes / kLineBytes; ++line) {
        ahead.fetch();
      }
      for (int group = 0; group < 2; ++group) {
        const std::uint8_t* scales = weight + group * Groups::kScaleBytes;
        const std::uint8_t* lines = weight + 2 * Groups::kScaleBytes + group * kGroupLines * kLineBytes;
        for (int b = 0; b < B; b += kBlocks) {
          add_group<R, kBlocks>(panel, lines, scales, x, group, b, ahead);
        }
        ahead.go_on(kGroupLines);
      }
      weight += kTileBytes;
      x += R;
    }
  }

 private:
  // A group of `Blocks` blocks, for R rows.
  template <int R, int Blocks, class Ahead>
  [[gnu::always_inline]] static void add_group(const SumPanel<X>& panel, const std::uint8_t* lines,
                                               const std::uint8_t* scales, const X* x, int group, int block,
                                               const Ahead& ahead) {
    const std::uint8_t* weight[Blocks];
    for (int b = 0; b < Blocks; ++b) {
      weight[b] = lines + (block + b) * panel.block_bytes;
    }
    F sum[Blocks][R];
#pragma GCC unroll 2
    for (int first = 0; first < kGroupLines; first += Groups::kLinesAtOnce) {
      typename Groups::Dots dots[Blocks][R];
#pragma GCC unroll 4
      for (int b = 0; b < Blocks; ++b) {
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r) {
          dots[b][r] = Groups::none();
        }
      }
      // Four at a time, which g++ unrolls without a rest.
      for (int four = first; four < first + Groups::kLinesAtOnce; four += 4) {
#pragma GCC unroll 4
        for (int line = four; line < four + 4; ++line) {
#pragma GCC unroll 4
          for (int b = 0; b < Blocks; ++b) {
            ahead.fetch(block + b, line);
            const auto weights = Groups::load(weight[b] + line * kLineBytes);
#pragma GCC unroll 16
            for (int r = 0; r < R; ++r) {
              dots[b][r] = Groups::dot(weights, x[r].number[group] + line * Groups::kLineInputs, dots[b][r]);
            }
          }
        }
      }
#pragma GCC unroll 4
      for (int b = 0; b < Blocks; ++b) {
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r) {
          sum[b][r] = V::add(first == 0 ? V::set(-x[r].excess[group]) : sum[b][r], V::to_float(dots[b][r]));
        }
      }
    }
#pragma GCC unroll 4
    for (int b = 0; b < Blocks; ++b) {
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        float* a = panel.sums + (block + b) * panel.block_sums + r * kBlockOutputs;
        const F factor = Groups::factor(scales + (block + b) * panel.block_bytes, x[r].scale[group]);
        V::store(a, V::fma(sum[b][r], factor, V::load(a)));
      }
    }
  }
};

}  // namespace
}  // namespace dolly4j
