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
  std::int32_t start[2];  // what sums start from: minus what they end up too large by, see read_group
};

constexpr int kQuadInputs = 4;

// Weights of either type: where a pair of groups of a block lies, and how 64 bytes of it are multiplied, by one quad of
// inputs after the other.
template <class V>
struct Int8Groups {
  using Number = typename V::ByteNumber;
  using Weights = typename V::Bytes;
  using Dots = typename V::ByteDots;
  static constexpr int kOffset = 128;
  static constexpr int kLineInputs = kQuadInputs;
  static constexpr int kScaleBytes = 0;  // of a group
  static constexpr int kLinesAtOnce = kGroupInputs / kLineInputs;
  static constexpr bool kDotsHoldStart = true;

  static Weights load(const std::uint8_t* line) { return V::load_bytes(line); }
  static Dots from(std::int32_t start) { return V::byte_dots(start); }
  [[gnu::always_inline]] static Dots dot(const Weights& weights, int, const Number* x, Dots dots) {
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
  static constexpr int kLineInputs = 2 * kQuadInputs;
  static constexpr int kScaleBytes = kBlockOutputs * 2;
  static constexpr int kLinesAtOnce = V::kDotsAtOnce * kQuadInputs / kLineInputs;
  static constexpr bool kDotsHoldStart = V::kDotsAtOnce * kQuadInputs == kGroupInputs;

  static Weights load(const std::uint8_t* line) {
    const auto quads = V::load_quads(line);
    return {V::low(quads), V::high(quads)};
  }
  static Dots from(std::int32_t start) {
    if constexpr (kDotsHoldStart) {
      return V::byte_dots(start);
    } else {
      return V::no_dots();
    }
  }
  [[gnu::always_inline]] static Dots dot(const Weights& weights, int quad, const Number* x, Dots dots) {
    return V::dot(quad == 0 ? weights.low : weights.high, V::broadcast_quad(x + quad * kQuadInputs), dots);
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
  static constexpr int kGroupLines = kGroupInputs / Groups::kLineInputs;
  static constexpr int kTilesAhead = 2;  // to fetch of x, whose lines of a row lie a KiB apart; others not tried
  static constexpr int kLineQuads = Groups::kLineInputs / kQuadInputs;
  static constexpr int kTileBytes = 2 * (Groups::kScaleBytes + kGroupLines * kLineBytes);

  static void read_x(const Activations& x, int row, int tile, X* to) {
    for (int i = 0; i < kGroupPairInputs; i += kTileInputs) {
      V::prefetch(static_cast<const bfloat16*>(x.data) + x.place(row, (tile + kTilesAhead) * kInputs + i));
    }
    for (int group = 0; group < 2; ++group) {
      float excess;
      const auto read = [&](std::int8_t* numbers) {
        read_group<V, Groups::kOffset>(x, row, 2 * tile + group, numbers, &to->scale[group], &excess);
      };
      if constexpr (sizeof(typename Groups::Number) == 1) {
        read(to->number[group]);
      } else {
        std::int8_t numbers[kGroupInputs];
        read(numbers);
        V::spread_bytes(numbers, to->number[group], kGroupInputs);
      }
      to->start[group] = -static_cast<std::int32_t>(excess);
    }
  }

  template <int R, int B>
  [[gnu::noinline]] static void add_tiles(const SumPanel<X>& panel) {
    if constexpr (R * B <= V::kSumsKept) {
      add_keeping_sums<R, B>(panel);
    } else {
      add_by_groups<R, B>(panel);
    }
  }

 private:
  // With registers for the sums of a panel beside the dot products of a group.
  template <int R, int B>
  [[gnu::always_inline]] static void add_keeping_sums(const SumPanel<X>& panel) {
    auto sum = Accumulators<V, R, B>::load(panel);
    const std::uint8_t* weight = panel.weight;
    const X* x = panel.x;
    Ahead<V, B> ahead(panel);
    for (int tile = 0; tile < panel.tiles; ++tile) {
      for (int line = 0; line < 2 * Groups::kScaleBytes / kLineBytes; ++line) {
        ahead.fetch();
      }
      const std::uint8_t* line = weight + 2 * Groups::kScaleBytes;
      for (int group = 0; group < 2; ++group) {
        typename Groups::Dots dots[B][R];
#pragma GCC unroll 4
        for (int b = 0; b < B; ++b) {
#pragma GCC unroll 16
          for (int r = 0; r < R; ++r) {
            dots[b][r] = Groups::from(x[r].start[group]);
          }
        }
        for (int four = 0; four < kGroupLines; four += 4) {
#pragma GCC unroll 4
          for (int i = four; i < four + 4; ++i) {
            ahead.fetch();
            typename Groups::Weights weights[B];
#pragma GCC unroll 4
            for (int b = 0; b < B; ++b) {
              weights[b] = Groups::load(line + b * panel.block_bytes);
            }
#pragma GCC unroll 2
            for (int quad = 0; quad < kLineQuads; ++quad) {
#pragma GCC unroll 16
              for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
                for (int b = 0; b < B; ++b) {
                  dots[b][r] = Groups::dot(weights[b], quad, x[r].number[group] + i * Groups::kLineInputs, dots[b][r]);
                }
              }
            }
            line += kLineBytes;
          }
        }
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
          for (int b = 0; b < B; ++b) {
            const F factor =
                Groups::factor(weight + group * Groups::kScaleBytes + b * panel.block_bytes, x[r].scale[group]);
            sum.a[b][r] = V::fma(V::to_float(dots[b][r]), factor, sum.a[b][r]);
          }
        }
      }
      weight += kTileBytes;
      x += R;
    }
    sum.store(panel);
  }

  // Few blocks at a time within a group, so that their dot products are all that has to stay in registers.
  template <int R, int B>
  [[gnu::always_inline]] static void add_by_groups(const SumPanel<X>& panel) {
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
          dots[b][r] = Groups::from(x[r].start[group]);
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
#pragma GCC unroll 2
              for (int quad = 0; quad < kLineQuads; ++quad) {
                dots[b][r] = Groups::dot(weights, quad, x[r].number[group] + line * Groups::kLineInputs, dots[b][r]);
              }
            }
          }
        }
      }
#pragma GCC unroll 4
      for (int b = 0; b < Blocks; ++b) {
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r) {
          const F dot = V::to_float(dots[b][r]);
          if constexpr (Groups::kDotsHoldStart) {
            sum[b][r] = dot;
          } else {
            sum[b][r] = V::add(first == 0 ? V::set(static_cast<float>(x[r].start[group])) : sum[b][r], dot);
          }
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
