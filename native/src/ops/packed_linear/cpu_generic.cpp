#include "cpu/vector_generic.h"
#include "ops/packed_linear/fma_kernels.h"
#include "ops/packed_linear/kernels.h"

namespace dolly4j {

PackedLinear packed_linear_generic(WeightType type, SumOrder order) {
  return fma_kernels<Generic, 4, 4, 4, 4>(type, order);
}

}  // namespace dolly4j
