// packed_linear.h on vectors: which rows, blocks and inputs come after each other. The sums themselves are Sums's, as
// those of fma_sums.h.
//
// Few rows: bound by one read of the weights. Every thread walks a group of blocks at once, one stream of memory each,
// since a single stream per thread does not reach the memory's speed; the rows share every load.
//
// Many rows: bound by multiply-adds. Up to kMaxRows rows x B blocks are summed in registers. Inputs go in chunks, so
// that the chunk of a block stays in the first-level cache while all rows pass, and that of the rows in the second
// while the blocks of a group do; the sums wait in scratch in between, which changes no bit.
//
// Both are the same loops: group of blocks > chunk of inputs > B blocks > tile of rows. x is read once, into
// [tile of rows][tile of inputs][rows][numbers of a tile], for so many rows at a time that scratch stays at a few MB.
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

template <class Sums, int kMaxRows, int kAccumulators>
class VectorLinear {
 public:
  static void run(const PackedLinearArgs& args, int first_block, int last_block, void* scratch) {
    const Parts chunks(args.rows, most_rows(tiles_of(args.x.inputs)));
    for (int chunk = 0; chunk < chunks.count; ++chunk) {
      const VectorLinear rows(args, chunks.first(chunk), chunks.size(chunk), scratch);
      rows.read_x();
      for (int block = first_block; block < last_block; block += kGroup) {
        rows.run_group(block, last_block - block < kGroup ? last_block - block : kGroup);
      }
    }
  }

  static std::int64_t scratch_bytes(int rows, int inputs) {
    const std::int64_t row_numbers = std::int64_t{tiles_of(inputs)} * Sums::kNumbers;
    const std::int64_t all = rows * row_numbers;
    const std::int64_t most = kMaxRows * row_numbers < kChunkNumbers ? kChunkNumbers : kMaxRows * row_numbers;
    return sums_bytes(rows) + (all < most ? all : most) * std::int64_t{sizeof(X)};
  }

 private:
  using X = typename Sums::X;

  static constexpr int kLineBytes = 64;
  // Blocks that take turns: enough streams of memory, and enough use of the rows that the second-level cache holds.
  static constexpr int kGroup = 8;
  // Tiles of inputs in a chunk, while every row is in the one tile of rows, and else. 256 inputs: 8 KiB of a bfloat16
  // block, and 256 KiB of float32 x for 256 rows. 128: the turns of four blocks, and what is fetched for the next, fit
  // the first-level cache; on Zen 3 faster than 64 or 256 for 2 to 5 rows.
  static constexpr int kFewRowsChunk = 128 / Sums::kInputs;
  static constexpr int kManyRowsChunk = 256 / Sums::kInputs;
  // Most numbers of x in scratch, 4 MiB of float32, and most rows.
  static constexpr std::int64_t kChunkNumbers = (std::int64_t{1} << 22) / std::int64_t{sizeof(X)};
  static constexpr int kChunkRows = 384;

  static int tiles_of(int inputs) { return (inputs + Sums::kInputs - 1) / Sums::kInputs; }
  static int most_rows(int input_tiles) {
    const std::int64_t rows = kChunkNumbers / (std::int64_t{input_tiles} * Sums::kNumbers);
    return rows > kChunkRows ? kChunkRows : rows < kMaxRows ? kMaxRows : static_cast<int>(rows);
  }
  static std::int64_t sums_bytes(int rows) {
    return std::int64_t{kGroup} * (rows < kChunkRows ? rows : kChunkRows) * kBlockOutputs * std::int64_t{sizeof(float)};
  }

  VectorLinear(const PackedLinearArgs& args, int first_row, int rows, void* scratch)
      : args_(args),
        first_row_(first_row),
        rows_(rows),
        row_tiles_(rows, kMaxRows),
        input_tiles_(tiles_of(args.x.inputs)),
        sums_(static_cast<float*>(scratch)),
        x_(reinterpret_cast<X*>(static_cast<std::uint8_t*>(scratch) + sums_bytes(args.rows))) {}

  void read_x() const {
    X* to = x_;
    for (int tile = 0; tile < row_tiles_.count; ++tile) {
      const int first = first_row_ + row_tiles_.first(tile);
      for (int k = 0; k < input_tiles_; ++k) {
        for (int r = 0; r < row_tiles_.size(tile); ++r) {
          Sums::read_x(args_.x, first + r, k, to);
          to += Sums::kNumbers;
        }
      }
    }
  }

  void run_group(int first_block, int blocks) const {
    std::memset(sums_, 0, static_cast<std::size_t>(sums_bytes(rows_)));
    const int chunk = row_tiles_.count == 1 ? kFewRowsChunk : kManyRowsChunk;
    for (int k = 0; k < input_tiles_; k += chunk) {
      const int tiles = input_tiles_ - k < chunk ? input_tiles_ - k : chunk;
      const bool last = k + tiles == input_tiles_;
      for (int block = 0; block < blocks;) {
        const int count = at_once(row_tiles_.size(0), blocks - block);
        const std::uint8_t* next = block + count < blocks ? weight(first_block + block + count, k)
                                   : last                 ? weight(first_block + blocks, 0)
                                                          : weight(first_block, k + tiles);
        for (int tile = 0; tile < row_tiles_.count; ++tile) {
          const SumPanel<X> panel = panel_of(tile, first_block, block, k, tiles, next);
          add_tiles<kMaxRows>(row_tiles_.size(tile), count, panel);
          for (int b = 0; last && b < count; ++b) {
            LinearResults<typename Sums::V>::finish(args_, first_block + block + b, first_row_ + row_tiles_.first(tile),
                                                    row_tiles_.size(tile), panel.sums + b * panel.block_sums);
          }
        }
        block += count;
      }
    }
  }

  const std::uint8_t* weight(int block, int input_tile) const {
    return args_.weight.numbers(block) + std::int64_t{input_tile} * Sums::kTileBytes;
  }

  // A tile of rows, blocks from `block` of the group on, `tiles` tiles of inputs from k on; the tiles of rows share the
  // work of fetching as many from `next` on.
  SumPanel<X> panel_of(int tile, int group, int block, int k, int tiles, const std::uint8_t* next) const {
    const std::int64_t first_row = row_tiles_.first(tile);
    const std::int64_t block_sums = std::int64_t{rows_} * kBlockOutputs;
    const std::int64_t ahead_step = kLineBytes / row_tiles_.count;
    const std::int64_t lines = std::int64_t{tiles} * Sums::kTileBytes / kLineBytes;
    return {weight(group + block, k),
            args_.weight.block_bytes(),
            x_ + (first_row * input_tiles_ + std::int64_t{k} * row_tiles_.size(tile)) * Sums::kNumbers,
            sums_ + block * block_sums + first_row * kBlockOutputs,
            block_sums,
            tiles,
            next + tile * lines * ahead_step,
            ahead_step};
  }

  // How many of the blocks left fit in the registers together.
  static int at_once(int rows, int blocks_left) {
    return blocks_left >= 4 && 4 * rows <= kAccumulators ? 4 : blocks_left >= 2 && 2 * rows <= kAccumulators ? 2 : 1;
  }

  template <int R>
  static void add_tiles(int rows, int blocks, const SumPanel<X>& panel) {
    if constexpr (R > 1) {
      if (rows < R) {
        add_tiles<R - 1>(rows, blocks, panel);
        return;
      }
    }
    if constexpr (4 * R <= kAccumulators) {
      if (blocks == 4) {
        Sums::template add_tiles<R, 4>(panel);
        return;
      }
    }
    if constexpr (2 * R <= kAccumulators) {
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
  const Parts row_tiles_;
  const int input_tiles_;
  float* const sums_;  // [blocks of the group][rows][16]
  X* const x_;
};

}  // namespace
}  // namespace dolly4j
