// packed_linear.h, bfloat16 in tiles order, on matrix tiles: 16 rows x 32 inputs of x, which is a tile of the
// activations, times 32 inputs x 16 outputs, which is 1 KiB of a block, added to 16 rows x 16 outputs. Strips, bands
// and chunks are those of vector_skeleton.h.
//
// Two tiles of rows x two of outputs, a panel, are summed in registers, so that every tile loaded is used twice. Inputs
// go in chunks, so that the chunk of the rows stays in the second-level cache while the blocks of a band pass, and that
// of two blocks while the rows do; the sums wait in scratch in between, which changes no bit. Weights that stay in the
// first-level cache instead, with x from the second, are no faster. While panels multiply they fetch the weights of the
// next ones into the second-level cache: a tile load that waits for memory holds up all that come after it.
//
// Tiles has eight tiles of 1 KiB:
//
//   Tiles()  ~Tiles()                takes the tiles into use; gives them back
//   zero<i>()
//   load<i>(place)                   16 rows of 64 bytes, behind each other
//   store<i>(place)
//   dot<c, a, b>()                   c = c + a * b as said above, each sum in the order of packed_linear.h
//   prefetch(place)                  a cache line, into the second-level cache
#pragma once

#include <cstdint>

#include "ops/packed_linear.h"
#include "ops/packed_linear/parts.h"
#include "ops/packed_linear/results.h"

namespace dolly4j {
namespace {

template <class Tiles, class V>
class TileLinear {
 public:
  static void run(const PackedLinearArgs& args, int first_block, int last_block, void* scratch) {
    Tiles tiles;
    const Parts strips((tiles_of(args.rows) + 1) / 2, kStripRowTiles / 2);
    for (int strip = 0; strip < strips.count; ++strip) {
      const int first = strips.first(strip) * 2;
      const int left = tiles_of(args.rows) - first;
      const int count = left < strips.size(strip) * 2 ? left : strips.size(strip) * 2;
      const TileLinear rows(args, first, count, tiles, scratch);
      for (int block = first_block; block < last_block; block += kBandBlocks) {
        rows.run_band(block, last_block - block < kBandBlocks ? last_block - block : kBandBlocks);
      }
    }
  }

  // Activations are tiles already.
  static void prepare(const PackedLinearArgs&, int, int) {}
  static std::int64_t prepared_bytes(int, int) { return 0; }

  static std::int64_t scratch_bytes(int rows) {
    const int row_tiles = tiles_of(rows) < kStripRowTiles ? tiles_of(rows) : kStripRowTiles;
    return std::int64_t{kBandBlocks} * row_tiles * kSumsOfTile * std::int64_t{sizeof(float)};
  }

 private:
  // As measured on an Emerald Rapids CPU, with a second-level cache of 2 MiB: 256 rows x 1280 inputs are 640 KiB, two
  // blocks of as many inputs 80, and what a band is summed into 256.
  static constexpr int kStripRowTiles = 16;  // even
  static constexpr int kBandBlocks = 16;     // even
  static constexpr int kChunk = 40;          // tiles of inputs
  // Tiles of inputs while there is one panel of rows, which fetches as far ahead.
  static constexpr int kChunkOfFewRows = 16;
  static constexpr int kTileBytes = 1024;
  static constexpr int kSumsOfTile = kTileRows * kBlockOutputs;
  static constexpr int kTileNumbers = kTileRows * kTileInputs;

  struct Panel {
    const std::uint8_t* weight;  // first tile of the first block
    std::int64_t block_bytes;    // from there to the next block
    const bfloat16* x;           // first tile of the first tile of rows
    float* sums;                 // of the first block and tile of rows
    int tiles;
    bool first;                 // of the inputs: no sums yet
    const std::uint8_t* ahead;  // what to fetch, of the first of as many blocks
    int ahead_lines;            // of each block, with every tile of inputs
  };

  static int tiles_of(int rows) { return (rows + kTileRows - 1) / kTileRows; }

  TileLinear(const PackedLinearArgs& args, int first_row_tile, int row_tiles, Tiles& tiles, void* scratch)
      : args_(args),
        first_row_tile_(first_row_tile),
        row_tiles_(row_tiles),
        input_tiles_(args.x.tiles_across()),
        chunks_(args.x.tiles_across(), row_tiles <= 2 ? kChunkOfFewRows : kChunk),
        tiles_(tiles),
        sums_(static_cast<float*>(scratch)) {}

  void run_band(int first_block, int blocks) const {
    for (int chunk = 0; chunk < chunks_.count; ++chunk) {
      for (int block = 0; block < blocks; block += 2) {
        const int count = blocks - block < 2 ? 1 : 2;
        const std::uint8_t* next = block + count < blocks      ? weight(first_block + block + count, chunk)
                                   : chunk + 1 < chunks_.count ? weight(first_block, chunk + 1)
                                                               : weight(first_block + blocks, 0);
        for (int row_tile = 0; row_tile < row_tiles_; row_tile += 2) {
          add(row_tile, first_block + block, count, chunk, block_sums() * block, next);
        }
      }
    }
  }

  const std::uint8_t* weight(int block, int chunk) const {
    return args_.weight.numbers(block) + std::int64_t{chunks_.first(chunk)} * kTileBytes;
  }
  std::int64_t block_sums() const { return std::int64_t{row_tiles_} * kSumsOfTile; }

  // Adds a chunk of inputs to the sums of up to two tiles of rows and one or two blocks. The panels share the work of
  // fetching as much from `next` on.
  void add(int row_tile, int block, int blocks, int chunk, std::int64_t first_sums, const std::uint8_t* next) const {
    const int row_tiles = row_tiles_ - row_tile < 2 ? 1 : 2;
    const int tiles = chunks_.size(chunk);
    const std::int64_t tile = std::int64_t{first_row_tile_ + row_tile} * input_tiles_ + chunks_.first(chunk);
    const int panels = (row_tiles_ + 1) / 2;
    const int lines = (kTileBytes / kLineBytes + panels - 1) / panels;
    const Panel panel{weight(block, chunk),
                      args_.weight.block_bytes(),
                      static_cast<const bfloat16*>(args_.x.data) + tile * kTileNumbers,
                      sums_ + first_sums + row_tile * kSumsOfTile,
                      tiles,
                      chunk == 0,
                      next + std::int64_t{row_tile / 2} * tiles * lines * kLineBytes,
                      lines};
    const bool last = chunk + 1 == chunks_.count;
    const int first_row = (first_row_tile_ + row_tile) * kTileRows;
    const int rows = args_.rows - first_row < row_tiles * kTileRows ? args_.rows - first_row : row_tiles * kTileRows;
    for (int b = 0; last && b < blocks; ++b) {
      LinearResults<V>::prefetch(args_, block + b, first_row, rows);
    }
    if (row_tiles == 2) {
      blocks == 2 ? add_tiles<2, 2>(panel) : add_tiles<2, 1>(panel);
    } else {
      blocks == 2 ? add_tiles<1, 2>(panel) : add_tiles<1, 1>(panel);
    }
    for (int b = 0; last && b < blocks; ++b) {
      LinearResults<V>::finish(args_, block + b, first_row, rows, panel.sums + b * block_sums());
    }
  }

  // Tiles 0 .. 3 are the sums, of row tile r and block b in 2 r + b; 4 and 5 are x, 6 and 7 the weights.
  template <int R, int B>
  void add_tiles(const Panel& panel) const {
    const std::int64_t row_numbers = std::int64_t{input_tiles_} * kTileNumbers;
    if (panel.first) {
      tiles_.template zero<0>();
      tiles_.template zero<1>();
      tiles_.template zero<2>();
      tiles_.template zero<3>();
    } else {
      tiles_.template load<0>(panel.sums);
      if constexpr (B == 2) {
        tiles_.template load<1>(panel.sums + block_sums());
      }
      if constexpr (R == 2) {
        tiles_.template load<2>(panel.sums + kSumsOfTile);
      }
      if constexpr (R == 2 && B == 2) {
        tiles_.template load<3>(panel.sums + block_sums() + kSumsOfTile);
      }
    }
    const std::uint8_t* weight = panel.weight;
    const bfloat16* x = panel.x;
    const std::uint8_t* ahead = panel.ahead;
    for (int k = 0; k < panel.tiles; ++k) {
      for (int b = 0; b < B; ++b) {
        for (int line = 0; line < panel.ahead_lines; ++line) {
          tiles_.prefetch(ahead + b * panel.block_bytes + line * kLineBytes);
        }
      }
      ahead += panel.ahead_lines * kLineBytes;
      tiles_.template load<6>(weight);
      tiles_.template load<4>(x);
      tiles_.template dot<0, 4, 6>();
      if constexpr (B == 2) {
        tiles_.template load<7>(weight + panel.block_bytes);
        tiles_.template dot<1, 4, 7>();
      }
      if constexpr (R == 2) {
        tiles_.template load<5>(x + row_numbers);
        tiles_.template dot<2, 5, 6>();
      }
      if constexpr (R == 2 && B == 2) {
        tiles_.template dot<3, 5, 7>();
      }
      weight += kTileBytes;
      x += kTileNumbers;
    }
    tiles_.template store<0>(panel.sums);
    if constexpr (B == 2) {
      tiles_.template store<1>(panel.sums + block_sums());
    }
    if constexpr (R == 2) {
      tiles_.template store<2>(panel.sums + kSumsOfTile);
    }
    if constexpr (R == 2 && B == 2) {
      tiles_.template store<3>(panel.sums + block_sums() + kSumsOfTile);
    }
  }

  const PackedLinearArgs& args_;
  const int first_row_tile_;
  const int row_tiles_;
  const int input_tiles_;
  const Parts chunks_;  // of the tiles of inputs
  Tiles& tiles_;
  float* const sums_;  // [blocks of the band][tiles of rows][16][16]
};

}  // namespace
}  // namespace dolly4j
