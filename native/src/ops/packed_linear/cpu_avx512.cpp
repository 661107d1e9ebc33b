#include "cpu/vector_avx512.h"
#include "ops/packed_linear/fma_kernels.h"
#include "ops/packed_linear/kernels.h"

namespace dolly4j {

PackedLinear packed_linear_avx512(WeightType type, SumOrder order) {
  // Of 32 registers, 24 are accumulators.
  return fma_kernels<Avx512, 12, 24, 12, 24>(type, order);
}

}  // namespace dolly4j
