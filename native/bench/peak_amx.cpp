#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "peak.h"

namespace dolly4j::bench {
namespace {

constexpr double kOperations = 2.0 * 16 * 16 * 32;  // of one TDPBF16PS

class Tiles {
 public:
  Tiles() {
    struct alignas(64) {
      std::uint8_t palette = 1;
      std::uint8_t start_row = 0;
      std::uint8_t reserved[14] = {};
      std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
      std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
    } config;
    _tile_loadconfig(&config);
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    _tile_zero(4);
    _tile_zero(5);
    _tile_zero(6);
    _tile_zero(7);
  }
  ~Tiles() { _tile_release(); }
};

}  // namespace

double peak_amx(std::int64_t rounds) {
  const Tiles tiles;
  for (std::int64_t i = 0; i < rounds; ++i) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  return 4 * kOperations * static_cast<double>(rounds);
}

double peak_amx_from_cache(std::int64_t rounds) {
  constexpr std::int64_t kTile = 1024;
  constexpr std::int64_t kBytes = 512 * 1024;
  alignas(64) static thread_local std::uint8_t memory[kBytes];
  std::memset(memory, 0, sizeof memory);
  const Tiles tiles;
  for (std::int64_t i = 0; i < rounds; ++i) {
    const std::uint8_t* place = memory + i * 4 * kTile % kBytes;
    _tile_loadd(4, place, 64);
    _tile_loadd(5, place + kTile, 64);
    _tile_loadd(6, place + 2 * kTile, 64);
    _tile_loadd(7, place + 3 * kTile, 64);
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  return 4 * kOperations * static_cast<double>(rounds);
}

}  // namespace dolly4j::bench
