// packed_linear.h on vectors: which rows, blocks and inputs come after each other. The sums themselves are Sums's, as
// those of fma_sums.h.
//
// Few rows: bound by one read of the weights. Every thread walks a band of blocks at once, one stream of memory each,
// since a single stream per thread does not reach the memory's speed; the rows share every load.
//
// Many rows: bound by multiply-adds. A panel, up to kMaxRows rows x B blocks, is summed in registers. Inputs go in
// chunks, so that the chunk of a block stays in the first-level cache while all rows pass, and that of the rows in the
// second while the blocks of a band do; the sums wait in scratch in between, which changes no bit.
//
// Both are the same loops: strip of rows > band of blocks > chunk of inputs > B blocks > panel. What is prepared of x
// lies in their order, [strip][chunk][panel][tile of inputs][rows of the panel][numbers of a tile], so that it is read
// forwards: on Zen 5 int8 gains 4 %.
//
// Sums has, besides V and X, of a tile of inputs: kInputs, how many they are; kTileBytes of the weights of a block;
// kNumbers, how many X a row has; read_x, which makes these; and add_tiles.
#pragma once

#include <cstdint>
#include <cstring>

#include "ops/packed_linear.h"
#include "ops/packed_linear/fma_sums.h"
#include "ops/packed_linear/parts.h"
#include "ops/packed_linear/results.h"

namespace dolly4j {
namespace {

// How much goes through the loops at a time, as measured on the CPUs that a kernel is for.
template <int kRows, int kSums, int kBlocksOfFewRows, int kBytesOfFewRows, int kBytesOfManyRows,
          int kRowsOfOnlyPanel = kRows>
struct LoopSizes {
  static constexpr int kMaxRows = kRows;                   // of a panel
  static constexpr int kMaxRowsOfOnly = kRowsOfOnlyPanel;  // of one that has all rows
  static constexpr int kAccumulators = kSums;              // rows x blocks in registers, up to kMaxRows
  // While all rows are in one panel: blocks of a band, so many streams of memory, and bytes of a block's chunk.
  static constexpr int kFewRowsBlocks = kBlocksOfFewRows;
  static constexpr int kFewRowsBytes = kBytesOfFewRows;
  // Else: bytes of a block that stay in the first-level cache while all rows pass.
  static constexpr int kManyRowsBytes = kBytesOfManyRows;
};

template <class Sums, class Sizes>
class VectorLinear {
 public:
  static void prepare(const PackedLinearArgs& args, int first_row, int last_row) {
    const Parts strips = strips_of(args);
    for (int strip = 0; strip < strips.count; ++strip) {
      const int first = strips.first(strip);
      const int end = first + strips.size(strip);
      if (first_row < end && last_row > first) {
        const VectorLinear rows(args, first, end - first, nullptr);
        rows.read_x(first_row > first ? first_row - first : 0, last_row < end ? last_row - first : end - first);
      }
    }
  }

  static void run(const PackedLinearArgs& args, int first_block, int last_block, void* scratch) {
    const Parts strips = strips_of(args);
    for (int strip = 0; strip < strips.count; ++strip) {
      const VectorLinear rows(args, strips.first(strip), strips.size(strip), scratch);
      for (int block = first_block; block < last_block; block += rows.band_) {
        rows.run_band(block, last_block - block < rows.band_ ? last_block - block : rows.band_);
      }
    }
  }

  static std::int64_t prepared_bytes(int rows, int inputs) {
    return std::int64_t{rows} * tiles_of(inputs) * Sums::kNumbers * std::int64_t{sizeof(X)};
  }

  static std::int64_t scratch_bytes(int rows) {
    return std::int64_t{kMostBlocks} * (rows < kStripRows ? rows : kStripRows) * kBlockOutputs *
           std::int64_t{sizeof(float)};
  }

 private:
  using X = typename Sums::X;

  // Blocks of a band while there are many rows: enough use of the rows that the second-level cache holds.
  static constexpr int kManyRowsBlocks = 8;
  static constexpr int kMostBlocks = kManyRowsBlocks < Sizes::kFewRowsBlocks ? Sizes::kFewRowsBlocks : kManyRowsBlocks;
  // Most rows of a strip, and most bytes of what is prepared of them, which every band reads again. On a Zen 5, 128
  // rows are no faster.
  static constexpr int kStripRows = 384;
  static constexpr std::int64_t kStripBytes = std::int64_t{1} << 22;

  static int tiles_of(int inputs) { return (inputs + Sums::kInputs - 1) / Sums::kInputs; }
  static constexpr int tiles_in(int bytes) { return bytes < Sums::kTileBytes ? 1 : bytes / Sums::kTileBytes; }
  static Parts strips_of(const PackedLinearArgs& args) {
    const std::int64_t most = kStripBytes / prepared_bytes(1, args.x.inputs);
    return Parts(args.rows, most > kStripRows        ? kStripRows
                            : most < Sizes::kMaxRows ? Sizes::kMaxRows
                                                     : static_cast<int>(most));
  }

  VectorLinear(const PackedLinearArgs& args, int first_row, int rows, void* scratch)
      : args_(args),
        first_row_(first_row),
        rows_(rows),
        panels_(rows, rows <= Sizes::kMaxRowsOfOnly ? Sizes::kMaxRowsOfOnly : Sizes::kMaxRows),
        input_tiles_(tiles_of(args.x.inputs)),
        band_(panels_.count == 1 ? Sizes::kFewRowsBlocks : kManyRowsBlocks),
        chunk_(panels_.count == 1 ? tiles_in(Sizes::kFewRowsBytes) : tiles_in(Sizes::kManyRowsBytes)),
        sums_(static_cast<float*>(scratch)),
        x_(static_cast<X*>(args.prepared) + std::int64_t{first_row} * input_tiles_ * Sums::kNumbers) {}

  // The rows first .. last - 1 of the strip.
  void read_x(int first, int last) const {
    for (int chunk = 0; chunk < input_tiles_; chunk += chunk_) {
      const int tiles = tiles_from(chunk);
      for (int panel = 0; panel < panels_.count; ++panel) {
        const int first_of_panel = panels_.first(panel);
        const int rows = panels_.size(panel);
        const int begin = first > first_of_panel ? first - first_of_panel : 0;
        const int end = last - first_of_panel < rows ? last - first_of_panel : rows;
        for (int k = 0; k < tiles; ++k) {
          for (int r = begin; r < end; ++r) {
            Sums::read_x(args_.x, first_row_ + first_of_panel + r, chunk + k,
                         place(chunk, tiles, panel) + (std::int64_t{k} * rows + r) * Sums::kNumbers);
          }
        }
      }
    }
  }

  // How many tiles of inputs the chunk has that begins at one.
  int tiles_from(int input_tile) const {
    return input_tiles_ - input_tile < chunk_ ? input_tiles_ - input_tile : chunk_;
  }

  // Where what is prepared of a panel's rows in a chunk of inputs lies.
  X* place(int first_input_tile, int tiles, int panel) const {
    return x_ + (std::int64_t{first_input_tile} * rows_ + std::int64_t{tiles} * panels_.first(panel)) * Sums::kNumbers;
  }

  void run_band(int first_block, int blocks) const {
    std::memset(sums_, 0, static_cast<std::size_t>(blocks * rows_ * kBlockOutputs) * sizeof(float));
    for (int k = 0; k < input_tiles_; k += chunk_) {
      const int tiles = tiles_from(k);
      const bool last = k + tiles == input_tiles_;
      for (int block = 0; block < blocks;) {
        const int count = at_once(panels_.size(0), blocks - block);
        const std::uint8_t* next = block + count < blocks ? weight(first_block + block + count, k)
                                   : last                 ? weight(first_block + blocks, 0)
                                                          : weight(first_block, k + tiles);
        for (int i = 0; i < panels_.count; ++i) {
          const SumPanel<X> panel = panel_of(i, first_block, block, k, tiles, next);
          for (int b = 0; last && b < count; ++b) {
            LinearResults<typename Sums::V>::prefetch(args_, first_block + block + b, first_row_ + panels_.first(i),
                                                      panels_.size(i));
          }
          add_tiles<Sizes::kMaxRowsOfOnly>(panels_.size(i), count, panel);
          for (int b = 0; last && b < count; ++b) {
            LinearResults<typename Sums::V>::finish(args_, first_block + block + b, first_row_ + panels_.first(i),
                                                    panels_.size(i), panel.sums + b * panel.block_sums);
          }
        }
        block += count;
      }
    }
  }

  const std::uint8_t* weight(int block, int input_tile) const {
    return args_.weight.numbers(block) + std::int64_t{input_tile} * Sums::kTileBytes;
  }

  // The panel's rows, blocks from `block` of the band on, `tiles` tiles of inputs from k on. The panels share the work
  // of fetching as many from `next` on.
  SumPanel<X> panel_of(int panel, int band, int block, int k, int tiles, const std::uint8_t* next) const {
    const std::int64_t first_row = panels_.first(panel);
    const std::int64_t block_sums = std::int64_t{rows_} * kBlockOutputs;
    const std::int64_t ahead_step = (kLineBytes + panels_.count - 1) / panels_.count;
    const std::int64_t lines = std::int64_t{tiles} * Sums::kTileBytes / kLineBytes;
    return {weight(band + block, k),
            args_.weight.block_bytes(),
            place(k, tiles, panel),
            sums_ + block * block_sums + first_row * kBlockOutputs,
            block_sums,
            tiles,
            next + panel * lines * ahead_step,
            ahead_step};
  }

  // Whether so many blocks go at once: as many as fit in the registers, and two where not even their sums have to.
  static constexpr bool go_at_once(int rows, int blocks) {
    return rows <= Sizes::kMaxRows ? blocks * rows <= Sizes::kAccumulators : blocks <= 2;
  }
  static int at_once(int rows, int blocks_left) {
    return blocks_left >= 4 && go_at_once(rows, 4) ? 4 : blocks_left >= 2 && go_at_once(rows, 2) ? 2 : 1;
  }

  template <int R>
  static void add_tiles(int rows, int blocks, const SumPanel<X>& panel) {
    if constexpr (R > 1) {
      if (rows < R) {
        add_tiles<R - 1>(rows, blocks, panel);
        return;
      }
    }
    if constexpr (go_at_once(R, 4)) {
      if (blocks == 4) {
        Sums::template add_tiles<R, 4>(panel);
        return;
      }
    }
    if constexpr (go_at_once(R, 2)) {
      if (blocks == 2) {
        Sums::template add_tiles<R, 2>(panel);
        return;
      }
    }
    Sums::template add_tiles<R, 1>(panel);
  }

  const PackedLinearArgs& args_;
  const int first_row_;
  const int rows_;
  const Parts panels_;  // of the strip's rows
  const int input_tiles_;
  const int band_;     // blocks
  const int chunk_;    // tiles of inputs
  float* const sums_;  // [blocks of the band][rows][16]
  X* const x_;         // prepared, of the strip
};

}  // namespace
}  // namespace dolly4j
