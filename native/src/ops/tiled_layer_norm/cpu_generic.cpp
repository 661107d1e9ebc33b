#include "cpu/vector_generic.h"
#include "ops/tiled_layer_norm/cpu.h"
#include "ops/tiled_layer_norm/kernel.h"

namespace dolly4j {

void tiled_layer_norm_generic(const TiledLayerNormArgs& args, int first, int last) {
  RowNormaliser<Generic>::run(args, first, last);
}

}  // namespace dolly4j
