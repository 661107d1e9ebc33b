// packed_linear.h, int8 and int4, on matrix tiles of bytes: 16 rows x 64 inputs, a group, times 64 inputs x 16 outputs
// gives the dot products of 16 rows x 16 outputs, which are stored, and added to the sums as float32 by vectors.
//
// That addition takes most of the time, so a tile of rows keeps its sums in registers for a chunk of groups, in which
// the weights of a block, of int4 made bytes once for all rows, stay in the first-level cache, and the rows in the
// second. Between chunks the sums wait in scratch, which changes no bit.
//
// Tiles are those of tile_skeleton.h, with
//
//   dot_bytes<c, a, b>()             c = c + a * b, in whole numbers: a signed [16][64], b unsigned [64 / 4][16][4]
#pragma once

#include <cstdint>
#include <cstring>

#include "ops/packed_linear.h"
#include "ops/packed_linear/group_inputs.h"
#include "ops/packed_linear/parts.h"
#include "ops/packed_linear/results.h"

namespace dolly4j {
namespace {

// A group of a block as a tile of bytes: of int8 it is one where it lies, of int4 it is made.
template <class V>
class Int8Tiles {
 public:
  static constexpr int kOffset = 128;
  static constexpr bool kInPlace = true;
  static constexpr std::int64_t kScratchBytes = 0;

  Int8Tiles(const PackedWeight& weight, void*) : weight_(weight) {}

  // Reads an even number of groups from an even one on; the first rows to pass do it for all.
  void read(int block, int first_group, int) { groups_ = weight_.numbers(block) + std::int64_t{first_group} * kBytes; }
  // A group of these; prefetches what is read later if the rows are the first to pass.
  const std::uint8_t* tile(int group, bool first) const {
    const std::uint8_t* place = groups_ + group * kBytes;
    for (int line = 0; first && line < kBytes; line += kLineBytes) {
      V::prefetch(place + kPrefetchBytes + line);
    }
    return place;
  }
  static typename V::F factor(int, float s) { return V::set(s); }

 private:
  static constexpr int kBytes = kGroupInputs * kBlockOutputs;
  static constexpr int kPrefetchBytes = 8192;  // not measured with bytes

  PackedWeight weight_;
  const std::uint8_t* groups_ = nullptr;
};

template <class V>
class Int4Tiles {
 public:
  static constexpr int kOffset = 8;
  static constexpr bool kInPlace = false;
  static constexpr int kMostGroups = 16;  // that are made bytes at a time: 16 KiB
  static constexpr std::int64_t kScratchBytes =
      kMostGroups * kBlockOutputs * (kGroupInputs + std::int64_t{sizeof(float)});

  Int4Tiles(const PackedWeight& weight, void* scratch)
      : weight_(weight),
        bytes_(static_cast<std::uint8_t*>(scratch)),
        scales_(reinterpret_cast<float*>(bytes_ + kMostGroups * kBytes)) {}

  void read(int block, int first_group, int groups) {
    const std::uint8_t* from = weight_.numbers(block) + std::int64_t{first_group / 2} * kGroupPairBytes;
    std::uint8_t* to = bytes_;
    for (int group = 0; group < groups; ++group) {
      if (group % 2 == 0) {
        V::prefetch(from + kPrefetchBytes);
        for (int i = 0; i < 2; ++i) {
          V::store(scales_ + (group + i) * kBlockOutputs, V::load(reinterpret_cast<const float16*>(from)));
          from += kBlockOutputs * 2;
        }
      }
      for (int line = 0; line < kBytes / 2 / kLineBytes; ++line) {
        V::prefetch(from + kPrefetchBytes);
        const auto quads = V::load_quads(from);
        V::store_quads(to, V::low(quads));
        V::store_quads(to + kLineBytes, V::high(quads));
        from += kLineBytes;
        to += 2 * kLineBytes;
      }
    }
  }
  const std::uint8_t* tile(int group, bool) const { return bytes_ + group * kBytes; }
  typename V::F factor(int group, float s) const { return V::mul(V::load(scales_ + group * kBlockOutputs), V::set(s)); }

 private:
  static constexpr int kBytes = kGroupInputs * kBlockOutputs;
  static constexpr int kGroupPairBytes = 2 * (kBlockOutputs * 2 + kBytes / 2);
  // About a microsecond of a thread's share of the memory's speed.
  static constexpr int kPrefetchBytes = 4096;

  PackedWeight weight_;
  std::uint8_t* bytes_;  // [groups], a tile each
  float* scales_;        // [groups][16]
};

template <class Tiles, class V, template <class> class Weights>
class GroupTileLinear {
 public:
  static void prepare(const PackedLinearArgs& args, int first_row, int last_row) {
    const int groups = groups_of(args.x.inputs);
    for (int row = first_row; row < last_row; ++row) {
      auto* to = static_cast<std::uint8_t*>(args.prepared) + std::int64_t{row / kTileRows} * groups * kGroupBytes;
      const int r = row % kTileRows;
      for (int group = 0; group < groups; ++group) {
        auto* scale = reinterpret_cast<float*>(to + kTileBytes) + r;
        read_group<V, Weights<V>::kOffset>(args.x, row, group, reinterpret_cast<std::int8_t*>(to) + r * kGroupInputs,
                                           scale, scale + kTileRows);
        to += kGroupBytes;
      }
    }
  }

  static void run(const PackedLinearArgs& args, int first_block, int last_block, void* scratch) {
    Tiles tiles;
    const Parts strips(tiles_of(args.rows), kStripRowTiles);
    for (int strip = 0; strip < strips.count; ++strip) {
      GroupTileLinear rows(args, strips.first(strip), strips.size(strip), tiles, scratch);
      for (int block = first_block; block < last_block; block += kBandBlocks) {
        rows.run_band(block, last_block - block < kBandBlocks ? last_block - block : kBandBlocks);
      }
    }
  }

  // Whole tiles; what is in them beyond the rows reaches no result.
  static std::int64_t prepared_bytes(int rows, int inputs) {
    return std::int64_t{tiles_of(rows)} * groups_of(inputs) * kGroupBytes;
  }

  static std::int64_t scratch_bytes(int rows) {
    const int row_tiles = tiles_of(rows) < kStripRowTiles ? tiles_of(rows) : kStripRowTiles;
    return kFixedBytes + row_tiles * kBandBlocks * kTileBytes;
  }

 private:
  using F = typename V::F;

  static constexpr int kStripRowTiles = 16;  // 256 KiB of x a chunk, 128 KiB of sums
  static constexpr int kBandBlocks = 8;      // that share the rows in the second-level cache
  static constexpr int kChunk = 16;          // groups, even: 16 KiB of weights
  static constexpr std::int64_t kTileBytes = 1024;
  // Of a tile of rows and a group: numbers, then for every row the scale and the excess.
  static constexpr std::int64_t kGroupBytes = kTileBytes + 2 * kTileRows * std::int64_t{sizeof(float)};
  static constexpr std::int64_t kFixedBytes = 2 * kTileBytes + Weights<V>::kScratchBytes;

  static int tiles_of(int rows) { return (rows + kTileRows - 1) / kTileRows; }
  static int groups_of(int inputs) { return (inputs + kGroupPairInputs - 1) / kGroupPairInputs * 2; }

  GroupTileLinear(const PackedLinearArgs& args, int first_row_tile, int row_tiles, Tiles& tiles, void* scratch)
      : args_(args),
        first_row_tile_(first_row_tile),
        row_tiles_(row_tiles),
        groups_(groups_of(args.x.inputs)),
        // Few rows leave nothing to keep in a cache for.
        chunk_(Weights<V>::kInPlace && row_tiles <= 2 ? groups_ : kChunk),
        tiles_(tiles),
        dots_(static_cast<std::int32_t*>(scratch)),
        weights_(args.weight, static_cast<std::uint8_t*>(scratch) + 2 * kTileBytes),
        sums_(reinterpret_cast<float*>(static_cast<std::uint8_t*>(scratch) + kFixedBytes)),
        x_(static_cast<const std::uint8_t*>(args.prepared) + std::int64_t{first_row_tile} * groups_ * kGroupBytes) {}

  const std::uint8_t* x(int row_tile, int group) const {
    return x_ + (std::int64_t{row_tile} * groups_ + group) * kGroupBytes;
  }

  void run_band(int first_block, int blocks) {
    for (int group = 0; group < groups_; group += chunk_) {
      const int groups = groups_ - group < chunk_ ? groups_ - group : chunk_;
      for (int block = 0; block < blocks; ++block) {
        weights_.read(first_block + block, group, groups);
        for (int tile = 0; tile < row_tiles_; ++tile) {
          float* sums = sums_ + (std::int64_t{block} * row_tiles_ + tile) * kTileRows * kBlockOutputs;
          if (group == 0) {
            std::memset(sums, 0, kTileBytes);
          }
          add_groups(tile, group, groups, sums);
          if (group + groups == groups_) {
            const int first_row = (first_row_tile_ + tile) * kTileRows;
            const int rows = args_.rows - first_row < kTileRows ? args_.rows - first_row : kTileRows;
            LinearResults<V>::finish(args_, first_block + block, first_row, rows, sums);
          }
        }
      }
    }
  }

  // Groups in pairs: while the products of one are added, those of the other are made.
  void add_groups(int row_tile, int first_group, int groups, float* sums) const {
    F sum[kTileRows];
    for (int r = 0; r < kTileRows; ++r) {
      sum[r] = V::load(sums + r * kBlockOutputs);
    }
    for (int group = 0; group < groups; group += 2) {
      const std::uint8_t* inputs = x(row_tile, first_group + group);
      multiply<0>(inputs, weights_.tile(group, row_tile == 0));
      multiply<1>(inputs + kGroupBytes, weights_.tile(group + 1, row_tile == 0));
      add(inputs, group, sum);
      add(inputs + kGroupBytes, group + 1, sum);
    }
    for (int r = 0; r < kTileRows; ++r) {
      V::store(sums + r * kBlockOutputs, sum[r]);
    }
  }

  template <int kHalf>
  void multiply(const std::uint8_t* inputs, const std::uint8_t* weights) const {
    tiles_.template zero<kHalf>();
    tiles_.template load<2 + kHalf>(inputs);
    tiles_.template load<4 + kHalf>(weights);
    tiles_.template dot_bytes<kHalf, 2 + kHalf, 4 + kHalf>();
    tiles_.template store<kHalf>(dots_ + kHalf * kTileRows * kBlockOutputs);
  }

  [[gnu::always_inline]] void add(const std::uint8_t* inputs, int group, F (&sum)[kTileRows]) const {
    const auto* scales = reinterpret_cast<const float*>(inputs + kTileBytes);
    const std::int32_t* dots = dots_ + group % 2 * kTileRows * kBlockOutputs;
#pragma GCC unroll 16
    for (int r = 0; r < kTileRows; ++r) {
      const F dot = V::sub(V::load_int32(dots + r * kBlockOutputs), V::set(scales[kTileRows + r]));
      sum[r] = V::fma(dot, weights_.factor(group, scales[r]), sum[r]);
    }
  }

  const PackedLinearArgs& args_;
  const int first_row_tile_;
  const int row_tiles_;
  const int groups_;
  const int chunk_;  // groups
  Tiles& tiles_;
  std::int32_t* const dots_;  // [2][16][16]
  Weights<V> weights_;
  float* const sums_;            // [blocks of the band][tiles of rows][16][16]
  const std::uint8_t* const x_;  // prepared: [tiles of rows][groups], kGroupBytes each
};

}  // namespace
}  // namespace dolly4j
