#include "cpu/vector_avx512.h"
#include "ops/tiled_layer_norm/cpu.h"
#include "ops/tiled_layer_norm/kernel.h"

namespace dolly4j {

void tiled_layer_norm_avx512(const TiledLayerNormArgs& args, int first, int last) {
  RowNormaliser<Avx512>::run(args, first, last);
}

}  // namespace dolly4j
