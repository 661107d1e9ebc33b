#include "cpu/tiles_amx.h"
#include "cpu/vector_avx512.h"
#include "ops/packed_linear/fma_kernels.h"
#include "ops/packed_linear/kernels.h"
#include "ops/packed_linear/tile_skeleton.h"

namespace dolly4j {
namespace {

using FewRows = VectorLinear<TileSums<Avx512>, 12, 24>;
using ManyRows = TileLinear<AmxTiles, Avx512>;

// Tile loads read memory slower than vector loads: on a Sapphire Rapids CPU they are ahead from 3 rows on.
constexpr int kFewRows = 2;

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

}  // namespace

PackedLinear packed_linear_amx() { return kernels<AmxLinear>(); }

}  // namespace dolly4j
