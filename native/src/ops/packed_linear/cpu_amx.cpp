#include "cpu/tiles_amx.h"
#include "cpu/vector_avx512.h"
#include "ops/packed_linear/avx512_sizes.h"
#include "ops/packed_linear/fma_kernels.h"
#include "ops/packed_linear/group_tiles.h"
#include "ops/packed_linear/kernels.h"
#include "ops/packed_linear/tile_skeleton.h"

namespace dolly4j {
namespace {

// Up to so many rows vectors are faster than tiles, which take as long for one row as for 16: of bfloat16 as measured
// on a Sapphire Rapids CPU, of bytes on an Emerald Rapids one. In tiles order, bfloat16 goes by multiply-adds of
// float32, which few rows take longer than memory does; VPDPBUSD keeps up with it for more. (7 to 10 rows of int8 go in
// one panel since, which was measured on a Zen 4 alone.)
constexpr int kFewRowsOfBfloat16 = 2;
constexpr int kFewRowsOfInt8 = 24;
constexpr int kFewRowsOfInt4 = 12;

template <int kFewRows, class FewRows, class ManyRows>
class AmxLinear {
 public:
  static void prepare(const PackedLinearArgs& args, int first_row, int last_row) {
    const auto prepare_rows = args.rows <= kFewRows ? FewRows::prepare : ManyRows::prepare;
    prepare_rows(args, first_row, last_row);
  }
  static void run(const PackedLinearArgs& args, int first_block, int last_block, void* scratch) {
    const auto run_rows = args.rows <= kFewRows ? FewRows::run : ManyRows::run;
    run_rows(args, first_block, last_block, scratch);
  }
  static std::int64_t prepared_bytes(int rows, int inputs) {
    return larger(FewRows::prepared_bytes(few(rows), inputs), ManyRows::prepared_bytes(rows, inputs));
  }
  static std::int64_t scratch_bytes(int rows) {
    return larger(FewRows::scratch_bytes(few(rows)), ManyRows::scratch_bytes(rows));
  }

 private:
  static int few(int rows) { return rows < kFewRows ? rows : kFewRows; }
  static std::int64_t larger(std::int64_t a, std::int64_t b) { return a < b ? b : a; }
};

template <int kFewRows, template <class> class Groups, class Sizes, template <class> class Tiles>
using AmxGroups =
    AmxLinear<kFewRows, VectorLinear<GroupSums<Avx512, Groups>, Sizes>, GroupTileLinear<AmxTiles, Avx512, Tiles>>;

}  // namespace

PackedLinear packed_linear_amx(WeightType type) {
  switch (type) {
    case WeightType::int8:
      return kernels<AmxGroups<kFewRowsOfInt8, Int8Groups, Avx512Int8Sizes, Int8Tiles>>();
    case WeightType::int4:
      return kernels<AmxGroups<kFewRowsOfInt4, Int4Groups, Avx512Int4Sizes, Int4Tiles>>();
    default:
      return kernels<
          AmxLinear<kFewRowsOfBfloat16, VectorLinear<TileSums<Avx512>, Avx512Sizes>, TileLinear<AmxTiles, Avx512>>>();
  }
}

}  // namespace dolly4j
