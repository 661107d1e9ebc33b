// x of packed_linear.h as int8 and int4 weights take it: whole numbers of 8 bits and a scale for every group of 64
// inputs.
#pragma once

#include <cstdint>

#include "ops/packed_linear.h"

namespace dolly4j {
namespace {

constexpr float kMostOfByte = 127;

// Quantises a group of a row: 64 numbers, their scale, and their sum times what weights have been made larger by: that
// has to be taken from dot products with them.
template <class V, int kOffset>
[[gnu::always_inline]] inline void read_group(const Activations& x, int row, int group, std::int8_t* numbers,
                                              float* scale, float* excess) {
  using F = typename V::F;
  constexpr int kParts = kGroupInputs / V::kLanes;
  constexpr int kPartsOfTile = kTileInputs / V::kLanes;
  F part[kParts];
  F largest = V::zero();
  F zero_or_nan = V::zero();
  for (int i = 0; i < kParts; ++i) {
    const int tile = group * (kGroupInputs / kTileInputs) + i / kPartsOfTile;
    const int within = i % kPartsOfTile * V::kLanes;
    part[i] = tile < x.tiles_across()
                  ? V::load(static_cast<const bfloat16*>(x.data) + x.place(row, tile * kTileInputs + within))
                  : V::zero();
    largest = V::max(largest, V::abs(part[i]));
    zero_or_nan = V::fma(part[i], V::zero(), zero_or_nan);
  }
  const float most = V::largest(largest);
  const bool is_zero = most < kSmallestOfLargest;
  const F factor = V::set(is_zero ? 0 : kMostOfByte / most);
  F sum = V::zero();
  for (int i = 0; i < kParts; ++i) {
    const F within = V::min(V::max(V::mul(part[i], factor), V::set(-kMostOfByte)), V::set(kMostOfByte));
    const F number = V::round(within);
    V::store_int8(numbers + i * V::kLanes, number);
    sum = V::add(sum, number);
  }
  *scale = (is_zero ? 0 : most / kMostOfByte) + V::sum(zero_or_nan);
  *excess = kOffset * V::sum(sum);
}

}  // namespace
}  // namespace dolly4j
