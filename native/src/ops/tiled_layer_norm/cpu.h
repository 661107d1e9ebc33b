// The implementations of tiled_layer_norm.h, each in a file compiled for the instruction set it is named after.
#pragma once

#include "ops/tiled_layer_norm.h"

namespace dolly4j {

void tiled_layer_norm_generic(const TiledLayerNormArgs& args, int first, int last);
void tiled_layer_norm_avx2(const TiledLayerNormArgs& args, int first, int last);
void tiled_layer_norm_avx512(const TiledLayerNormArgs& args, int first, int last);

}  // namespace dolly4j
