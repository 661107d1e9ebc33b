#include "cpu/tiles_amx.h"
#include "cpu/vector_avx512.h"
#include "ops/packed_linear/fma_kernels.h"
#include "ops/packed_linear/group_tiles.h"
#include "ops/packed_linear/kernels.h"
#include "ops/packed_linear/tile_skeleton.h"

namespace dolly4j {
namespace {

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

template <template <class> class Groups, template <class> class Tiles>
using AmxGroups = AmxLinear<VectorLinear<GroupSums<Avx512, Groups>, 12, 24>, GroupTileLinear<AmxTiles, Avx512, Tiles>>;

}  // namespace

PackedLinear packed_linear_amx(WeightType type) {
  switch (type) {
    case WeightType::int8:
      return kernels<AmxGroups<Int8Groups, Int8Tiles>>();
    case WeightType::int4:
      return kernels<AmxGroups<Int4Groups, Int4Tiles>>();
    default:
      return kernels<AmxLinear<VectorLinear<TileSums<Avx512>, 12, 24>, TileLinear<AmxTiles, Avx512>>>();
  }
}

}  // namespace dolly4j
