// The matrix tiles of tile_skeleton.h in plain C++.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "cpu/bfloat16.h"
#include "ops/activations.h"

namespace dolly4j::test {

class EmulatedTiles {
 public:
  template <int kTile>
  void zero() {
    std::memset(tiles_[kTile], 0, kBytes);
  }
  template <int kTile>
  void load(const void* place) {
    std::memcpy(tiles_[kTile], place, kBytes);
  }
  template <int kTile>
  void store(void* place) {
    std::memcpy(place, tiles_[kTile], kBytes);
  }
  // As Intel describes TDPBF16PS, but that denormals are flushed by the caller's environment.
  template <int kSum, int kX, int kWeight>
  void dot() {
    constexpr int kPairs = kTileInputs / 2;
    bfloat16 x[kTileRows][kPairs][2];
    bfloat16 weight[kPairs][kTileRows][2];
    float sum[kTileRows][kTileRows];
    std::memcpy(x, tiles_[kX], kBytes);
    std::memcpy(weight, tiles_[kWeight], kBytes);
    std::memcpy(sum, tiles_[kSum], kBytes);
    for (int m = 0; m < kTileRows; ++m) {
      for (int n = 0; n < kTileRows; ++n) {
        float even = 0;
        float odd = 0;
        for (int k = 0; k < kPairs; ++k) {
          even = std::fma(to_float(x[m][k][0]), to_float(weight[k][n][0]), even);
          odd = std::fma(to_float(x[m][k][1]), to_float(weight[k][n][1]), odd);
        }
        sum[m][n] = sum[m][n] + (even + odd);
      }
    }
    std::memcpy(tiles_[kSum], sum, kBytes);
  }
  // As Intel describes TDPBSUD.
  template <int kSum, int kX, int kWeight>
  void dot_bytes() {
    std::int8_t x[kTileRows][64];
    std::uint8_t weight[16][kTileRows][4];
    std::int32_t sum[kTileRows][kTileRows];
    std::memcpy(x, tiles_[kX], kBytes);
    std::memcpy(weight, tiles_[kWeight], kBytes);
    std::memcpy(sum, tiles_[kSum], kBytes);
    for (int m = 0; m < kTileRows; ++m) {
      for (int n = 0; n < kTileRows; ++n) {
        for (int k = 0; k < 64; ++k) {
          sum[m][n] += x[m][k] * weight[k / 4][n][k % 4];
        }
      }
    }
    std::memcpy(tiles_[kSum], sum, kBytes);
  }
  void prefetch(const void*) {}

 private:
  static constexpr std::size_t kBytes = 1024;

  std::uint8_t tiles_[8][kBytes];
};

}  // namespace dolly4j::test
