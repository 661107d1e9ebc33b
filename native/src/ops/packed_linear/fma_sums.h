// The sums of packed_linear.h by fused multiply-adds of vectors, in each of the orders: R rows of x against B blocks of
// 16 outputs, over tiles of 32 inputs.
//
// An accumulator is 16 outputs of one row. A number of x is broadcast to all lanes, and 64 bytes of the weights are
// widened once for all R rows. R x B accumulators, B vectors of weights, one of x and a mask have to fit the registers.
#pragma once

#include <cstdint>

#include "ops/packed_linear.h"

namespace dolly4j {
namespace {

// What a call of add_tiles works on. X is what x is made of as the kernel reads it.
template <class X>
struct SumPanel {
  const std::uint8_t* weight;  // first tile of the first block
  std::int64_t block_bytes;    // from there to the next block
  const X* x;                  // [tiles, R, numbers of a tile]
  float* sums;                 // [R, 16] of the first block
  std::int64_t block_sums;     // numbers from there to the next block
  int tiles;
  const std::uint8_t* ahead;  // what to prefetch of the first block, and as far from there of the others
  std::int64_t ahead_step;    // bytes to go on by for every 64 bytes of the block
};

template <class V, int R, int B>
struct Accumulators {
  using F = typename V::F;

  F a[B][R];

  static Accumulators zero() {
    Accumulators result;
#pragma GCC unroll 4
    for (int b = 0; b < B; ++b) {
#pragma GCC unroll 12
      for (int r = 0; r < R; ++r) {
        result.a[b][r] = V::zero();
      }
    }
    return result;
  }

  template <class X>
  static Accumulators load(const SumPanel<X>& panel) {
    Accumulators result;
#pragma GCC unroll 4
    for (int b = 0; b < B; ++b) {
#pragma GCC unroll 12
      for (int r = 0; r < R; ++r) {
        result.a[b][r] = V::load(panel.sums + b * panel.block_sums + r * kBlockOutputs);
      }
    }
    return result;
  }

  template <class X>
  void store(const SumPanel<X>& panel) const {
#pragma GCC unroll 4
    for (int b = 0; b < B; ++b) {
#pragma GCC unroll 12
      for (int r = 0; r < R; ++r) {
        V::store(panel.sums + b * panel.block_sums + r * kBlockOutputs, a[b][r]);
      }
    }
  }

  void add(const Accumulators& other) {
#pragma GCC unroll 4
    for (int b = 0; b < B; ++b) {
#pragma GCC unroll 12
      for (int r = 0; r < R; ++r) {
        a[b][r] = V::add(a[b][r], other.a[b][r]);
      }
    }
  }

  // Adds the products of x, which lie 32 apart for R rows, and weight(b). The inner loop is over the fewer of both,
  // since that is how many vectors are kept. Products is V, or else has its functions broadcast and fma with operands
  // of its own.
  template <class Products = V, class X, class Weight>
  [[gnu::always_inline]] void add_products(const X* x, const Weight& weight) {
    if constexpr (R < B) {
#pragma GCC unroll 4
      for (int b = 0; b < B; ++b) {
        const auto w = weight(b);
#pragma GCC unroll 12
        for (int r = 0; r < R; ++r) {
          a[b][r] = Products::fma(Products::broadcast(x + r * kTileInputs), w, a[b][r]);
        }
      }
    } else {
      decltype(weight(0)) w[B];
#pragma GCC unroll 4
      for (int b = 0; b < B; ++b) {
        w[b] = weight(b);
      }
#pragma GCC unroll 12
      for (int r = 0; r < R; ++r) {
        const auto number = Products::broadcast(x + r * kTileInputs);
#pragma GCC unroll 4
        for (int b = 0; b < B; ++b) {
          a[b][r] = Products::fma(number, w[b], a[b][r]);
        }
      }
    }
  }
};

// Fetches what the next panels read, a little with every 64 bytes of this panel's.
template <class V, int B>
class Ahead {
 public:
  template <class X>
  explicit Ahead(const SumPanel<X>& panel)
      : place_(panel.ahead), step_(panel.ahead_step), block_bytes_(panel.block_bytes) {}

  void fetch() {
#pragma GCC unroll 4
    for (int b = 0; b < B; ++b) {
      fetch(b, 0);
    }
    go_on(1);
  }
  // Of one block, what belongs to the `line`th 64 bytes from here. Inlined as prefetch is.
  [[gnu::always_inline]] void fetch(int block, int line) const {
    V::prefetch(place_ + block * block_bytes_ + line * step_);
  }
  void go_on(int lines) { place_ += lines * step_; }

 private:
  const std::uint8_t* place_;
  std::int64_t step_;
  std::int64_t block_bytes_;
};

// The same place, which the compiler takes for another: it reads from there again rather than keep what it has read in
// registers that are needed.
[[gnu::always_inline]] inline const std::uint8_t* again(const std::uint8_t* place) {
  __asm__("" : "+r"(place));
  return place;
}

// Tiles of 32 inputs, of which x is read as float32 from numbers of type Source.
template <class Vector, class Source>
struct Float32Inputs {
  using V = Vector;
  using X = float;
  static constexpr int kInputs = kTileInputs;   // of a tile
  static constexpr int kNumbers = kTileInputs;  // X of a row in a tile

  static void read_x(const Activations& x, int row, int tile, X* to) {
    const auto* from = static_cast<const Source*>(x.data) + x.place(row, tile * kTileInputs);
    V::store(to, V::load(from));
    V::store(to + V::kLanes, V::load(from + V::kLanes));
  }
};

// Bytes of a block that hold the weights of a pair of inputs.
constexpr int kInputPairBytes = kBlockOutputs * 4;

template <class V>
struct Float32Sums : Float32Inputs<V, float> {
  using X = float;
  static constexpr int kTileBytes = kTileInputs * kBlockOutputs * 4;

  template <int R, int B>
  [[gnu::noinline]] static void add_tiles(const SumPanel<X>& panel) {
    auto sum = Accumulators<V, R, B>::load(panel);
    const std::uint8_t* weight = panel.weight;
    const X* x = panel.x;
    Ahead<V, B> ahead(panel);
    for (int tile = 0; tile < panel.tiles; ++tile) {
      for (int k = 0; k < kTileInputs; ++k) {
        ahead.fetch();
        sum.add_products(
            x + k, [&](int b) { return V::load(reinterpret_cast<const float*>(weight + b * panel.block_bytes)); });
        weight += kBlockOutputs * 4;
      }
      x += R * kTileInputs;
    }
    sum.store(panel);
  }
};

template <class V>
struct PairSums : Float32Inputs<V, bfloat16> {
  using X = float;
  static constexpr int kTileBytes = kTileInputs / 2 * kInputPairBytes;

  template <int R, int B>
  [[gnu::noinline]] static void add_tiles(const SumPanel<X>& panel) {
    auto sum = Accumulators<V, R, B>::load(panel);
    const std::uint8_t* weight = panel.weight;
    const X* x = panel.x;
    Ahead<V, B> ahead(panel);
    for (int tile = 0; tile < panel.tiles; ++tile) {
      for (int k = 0; k < kTileInputs; k += 2) {
        ahead.fetch();
        sum.add_products(x + k + 1, [&](int b) { return V::odd(V::load_pairs(weight + b * panel.block_bytes)); });
        weight = again(weight);
        sum.add_products(x + k, [&](int b) { return V::even(V::load_pairs(weight + b * panel.block_bytes)); });
        weight += kInputPairBytes;
      }
      x += R * kTileInputs;
    }
    sum.store(panel);
  }
};

// The evens of a tile first, then its odds, so that one set of accumulators is enough; the tile's second reading comes
// from the first-level cache.
template <class V>
struct TileSums : Float32Inputs<V, bfloat16> {
  using X = float;
  static constexpr int kTileBytes = kTileInputs / 2 * kInputPairBytes;

  template <int R, int B>
  [[gnu::noinline]] static void add_tiles(const SumPanel<X>& panel) {
    const std::uint8_t* weight = panel.weight;
    const X* x = panel.x;
    Ahead<V, B> ahead(panel);
    for (int tile = 0; tile < panel.tiles; ++tile) {
      auto even = Accumulators<V, R, B>::zero();
#pragma GCC unroll 2
      for (int k = 0; k < kTileInputs; k += 2) {
        ahead.fetch();
        even.add_products(x + k, [&](int b) { return V::even(V::load_pairs(weight + b * panel.block_bytes)); });
        weight += kInputPairBytes;
      }
      weight = again(weight - kTileBytes);
      auto odd = Accumulators<V, R, B>::zero();
#pragma GCC unroll 2
      for (int k = 0; k < kTileInputs; k += 2) {
        odd.add_products(x + k + 1, [&](int b) { return V::odd(V::load_pairs(weight + b * panel.block_bytes)); });
        weight += kInputPairBytes;
      }
      auto sum = Accumulators<V, R, B>::load(panel);
      even.add(odd);
      sum.add(even);
      sum.store(panel);
      x += R * kTileInputs;
    }
  }
};

}  // namespace
}  // namespace dolly4j
