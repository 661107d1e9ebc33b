#include "cpu/tiles_amx.h"
#include "peak.h"

namespace dolly4j::bench {
namespace {

constexpr int kRounds = 1024;
constexpr std::int64_t kTileBytes = 1024;

struct Bfloat16Dot {
  static constexpr std::int64_t kOperations = 2 * 16 * 16 * 32;
  template <int kSum, int kX, int kWeight>
  static void add(const AmxTiles& tiles) {
    tiles.dot<kSum, kX, kWeight>();
  }
};

struct Int8Dot {
  static constexpr std::int64_t kOperations = 2 * 16 * 16 * 64;
  template <int kSum, int kX, int kWeight>
  static void add(const AmxTiles& tiles) {
    tiles.dot_bytes<kSum, kX, kWeight>();
  }
};

// 2 x 2 tiles of sums. Those of both operands come from the second-level cache: a panel of inputs is larger than the
// first when there are as many as a hidden size.
template <class Dot>
class PeakOfTiles {
 public:
  static PeakLoops loops() { return {registers, l2}; }

 private:
  static void begin(const AmxTiles& tiles) {
    tiles.zero<0>();
    tiles.zero<1>();
    tiles.zero<2>();
    tiles.zero<3>();
  }

  static std::int64_t registers(const PeakOperands& operands) {
    const AmxTiles tiles;
    begin(tiles);
    tiles.load<4>(operands.inputs);
    tiles.load<5>(operands.inputs + kTileBytes);
    tiles.load<6>(operands.weights);
    tiles.load<7>(operands.weights + kTileBytes);
    for (int round = 0; round < kRounds; ++round) {
      Dot::template add<0, 4, 6>(tiles);
      Dot::template add<1, 4, 7>(tiles);
      Dot::template add<2, 5, 6>(tiles);
      Dot::template add<3, 5, 7>(tiles);
    }
    return std::int64_t{kRounds} * 4 * Dot::kOperations;
  }

  static std::int64_t l2(const PeakOperands& operands) {
    constexpr std::int64_t kSteps = kPeakWeightBytes / kTileBytes / 4;
    const AmxTiles tiles;
    begin(tiles);
    const std::uint8_t* from = operands.weights;
    for (std::int64_t step = 0; step < kSteps; ++step) {
      tiles.load<6>(from);
      tiles.load<4>(from + kTileBytes);
      Dot::template add<0, 4, 6>(tiles);
      tiles.load<7>(from + 2 * kTileBytes);
      Dot::template add<1, 4, 7>(tiles);
      tiles.load<5>(from + 3 * kTileBytes);
      Dot::template add<2, 5, 6>(tiles);
      Dot::template add<3, 5, 7>(tiles);
      from += 4 * kTileBytes;
    }
    return kSteps * 4 * Dot::kOperations;
  }
};

}  // namespace

PeakLoops peak_amx_bfloat16() { return PeakOfTiles<Bfloat16Dot>::loops(); }
PeakLoops peak_amx_int8() { return PeakOfTiles<Int8Dot>::loops(); }

}  // namespace dolly4j::bench
