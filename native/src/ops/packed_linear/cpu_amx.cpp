#include "cpu/vector_avx512.h"
#include "ops/packed_linear/fma_kernels.h"
#include "ops/packed_linear/group_tiles.h"
#include "ops/packed_linear/kernels.h"
#include "ops/packed_linear/tile_skeleton.h"

namespace dolly4j {
namespace {

// AMX. Its intrinsics are macros that take the number of a tile as a literal; an instruction takes it from a template.
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
    _tile_loadconfig(&config);
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
  template <int kSum, int kX, int kWeight>
  void dot() const {
    __asm__ volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kSum), "i"(kX), "i"(kWeight));
  }
  template <int kSum, int kX, int kWeight>
  void dot_bytes() const {
    __asm__ volatile("tdpbsud %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kSum), "i"(kX), "i"(kWeight));
  }
  void prefetch(const void* place) const { Avx512::prefetch(place); }

 private:
  static constexpr std::int64_t kRowBytes = 64;
};

// Tile loads read memory slower than vector loads: on a Sapphire Rapids CPU they are ahead from 3 rows of bfloat16 on.
constexpr int kFewRows = 2;

template <class FewRows, class ManyRows>
struct AmxLinear {
  static void run(const PackedLinearArgs& args, int first_block, int last_block, void* scratch) {
    const auto run_rows = args.rows <= kFewRows ? FewRows::run : ManyRows::run;
    run_rows(args, first_block, last_block, scratch);
  }
  static std::int64_t scratch_bytes(int rows, int inputs) {
    const std::int64_t few = FewRows::scratch_bytes(rows < kFewRows ? rows : kFewRows, inputs);
    const std::int64_t many = ManyRows::scratch_bytes(rows, inputs);
    return few < many ? many : few;
  }
};

template <template <class> class Pair, template <class> class Weights>
using AmxPairs = AmxLinear<VectorLinear<TileSums<Avx512, Pair<Avx512>>, 12, 24>, TileLinear<AmxTiles, Avx512, Weights>>;

using AmxGroups = AmxLinear<VectorLinear<GroupSums<Avx512>, 12, 24>, GroupTileLinear<AmxTiles, Avx512>>;

}  // namespace

PackedLinear packed_linear_amx(WeightType type) {
  switch (type) {
    case WeightType::int8:
      return kernels<AmxPairs<Int8Pair, Int8Tiles>>();
    case WeightType::int4:
      return kernels<AmxGroups>();
    default:
      return kernels<AmxPairs<Bfloat16Pair, Bfloat16Tiles>>();
  }
}

}  // namespace dolly4j
