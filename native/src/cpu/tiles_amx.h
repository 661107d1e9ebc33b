// The eight matrix tiles of AMX, each 16 rows of 64 bytes.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "cpu/vector_avx512.h"

namespace dolly4j {
namespace {

// The intrinsics are macros that take the number of a tile as a literal; an instruction takes it from a template.
class AmxTiles {
 public:
  AmxTiles() {
    struct alignas(64) {
      std::uint8_t palette = 1;
      std::uint8_t start_row = 0;
      std::uint8_t reserved[14] = {};
      std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
      std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
    } config;
    // Not by its intrinsic: g++ 12's says that it reads 8 bytes, and leaves out the stores of others.
    __asm__ volatile("ldtilecfg %0" : : "m"(config));
  }
  ~AmxTiles() { _tile_release(); }
  AmxTiles(const AmxTiles&) = delete;
  AmxTiles& operator=(const AmxTiles&) = delete;

  template <int kTile>
  void zero() const {
    __asm__ volatile("tilezero %%tmm%c0" : : "i"(kTile));
  }
  template <int kTile>
  void load(const void* place) const {
    __asm__ volatile("tileloadd (%0, %1, 1), %%tmm%c2" : : "r"(place), "r"(kRowBytes), "i"(kTile) : "memory");
  }
  template <int kTile>
  void store(void* place) const {
    __asm__ volatile("tilestored %%tmm%c2, (%0, %1, 1)" : : "r"(place), "r"(kRowBytes), "i"(kTile) : "memory");
  }
  // Of bfloat16.
  template <int kSum, int kX, int kWeight>
  void dot() const {
    __asm__ volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kSum), "i"(kX), "i"(kWeight));
  }
  // Of bytes: x signed, weights not.
  template <int kSum, int kX, int kWeight>
  void dot_bytes() const {
    __asm__ volatile("tdpbsud %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kSum), "i"(kX), "i"(kWeight));
  }
  // Into the second-level cache, which waits for more lines at once than the first.
  void prefetch(const void* place) const { _mm_prefetch(static_cast<const char*>(place), _MM_HINT_T1); }

 private:
  static constexpr std::int64_t kRowBytes = 64;
};

}  // namespace
}  // namespace dolly4j
