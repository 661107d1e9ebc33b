#include "cpu/vector_generic.h"
#include "ops/packed_linear/fma_kernels.h"
#include "ops/packed_linear/kernels.h"

namespace dolly4j {

PackedLinear packed_linear_generic(WeightType type, SumOrder order) {
  using Sizes = LoopSizes<4, 4, 8, 4096, 8192>;
  return fma_kernels<Generic, Sizes, Sizes, Sizes>(type, order);
}

}  // namespace dolly4j
