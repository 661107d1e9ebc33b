// The matrix tiles of tile_skeleton.h in plain C++.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "cpu/bfloat16.h"
#include "ops/activations.h"

namespace dolly4j::test {

// Eight tiles by number; denormals are the caller's environment's.
class TileArithmetic {
 public:
  static constexpr int kRows = 16;
  static constexpr int kRowBytes = 64;

  void zero(int tile) { std::memset(tiles_[tile], 0, kBytes); }
  // Rows `stride` bytes apart.
  void load(int tile, const std::uint8_t* place, std::int64_t stride) {
    for (int r = 0; r < kRows; ++r) {
      std::memcpy(tiles_[tile] + r * kRowBytes, place + r * stride, kRowBytes);
    }
  }
  void store(int tile, std::uint8_t* place, std::int64_t stride) const {
    for (int r = 0; r < kRows; ++r) {
      std::memcpy(place + r * stride, tiles_[tile] + r * kRowBytes, kRowBytes);
    }
  }
  // As Intel describes TDPBF16PS.
  void dot(int sums, int inputs, int weights) {
    constexpr int kPairs = kTileInputs / 2;
    bfloat16 x[kRows][kPairs][2];
    bfloat16 weight[kPairs][kRows][2];
    float sum[kRows][kRows];
    std::memcpy(x, tiles_[inputs], kBytes);
    std::memcpy(weight, tiles_[weights], kBytes);
    std::memcpy(sum, tiles_[sums], kBytes);
    for (int m = 0; m < kRows; ++m) {
      for (int n = 0; n < kRows; ++n) {
        float even = 0;
        float odd = 0;
        for (int k = 0; k < kPairs; ++k) {
          even = std::fma(to_float(x[m][k][0]), to_float(weight[k][n][0]), even);
          odd = std::fma(to_float(x[m][k][1]), to_float(weight[k][n][1]), odd);
        }
        sum[m][n] = sum[m][n] + (even + odd);
      }
    }
    std::memcpy(tiles_[sums], sum, kBytes);
  }
  // As Intel describes TDPBSUD.
  void dot_bytes(int sums, int inputs, int weights) {
    std::int8_t x[kRows][kRowBytes];
    std::uint8_t weight[kRows][kRows][4];
    std::int32_t sum[kRows][kRows];
    std::memcpy(x, tiles_[inputs], kBytes);
    std::memcpy(weight, tiles_[weights], kBytes);
    std::memcpy(sum, tiles_[sums], kBytes);
    for (int m = 0; m < kRows; ++m) {
      for (int n = 0; n < kRows; ++n) {
        for (int k = 0; k < kRowBytes; ++k) {
          sum[m][n] += x[m][k] * weight[k / 4][n][k % 4];
        }
      }
    }
    std::memcpy(tiles_[sums], sum, kBytes);
  }

 private:
  static constexpr std::size_t kBytes = kRows * kRowBytes;

  std::uint8_t tiles_[8][kBytes];
};

class EmulatedTiles {
 public:
  template <int kTile>
  void zero() {
    tiles_.zero(kTile);
  }
  template <int kTile>
  void load(const void* place) {
    tiles_.load(kTile, static_cast<const std::uint8_t*>(place), TileArithmetic::kRowBytes);
  }
  template <int kTile>
  void store(void* place) {
    tiles_.store(kTile, static_cast<std::uint8_t*>(place), TileArithmetic::kRowBytes);
  }
  template <int kSum, int kX, int kWeight>
  void dot() {
    tiles_.dot(kSum, kX, kWeight);
  }
  template <int kSum, int kX, int kWeight>
  void dot_bytes() {
    tiles_.dot_bytes(kSum, kX, kWeight);
  }
  void prefetch(const void*) {}

 private:
  TileArithmetic tiles_;
};

}  // namespace dolly4j::test
