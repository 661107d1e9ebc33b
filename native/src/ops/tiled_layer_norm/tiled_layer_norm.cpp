#include "ops/tiled_layer_norm.h"

#include "cpu/isa.h"
#include "ops/tiled_layer_norm/cpu.h"

namespace dolly4j {

TiledLayerNormFn tiled_layer_norm(Isa isa) {
  switch (isa) {
#if defined(__x86_64__)
    case Isa::avx2:
      return tiled_layer_norm_avx2;
    case Isa::avx512:
    case Isa::avx512_bf16:
    case Isa::amx:
      return tiled_layer_norm_avx512;
#endif
    default:
      return tiled_layer_norm_generic;
  }
}

}  // namespace dolly4j
