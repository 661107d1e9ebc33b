#include "cpu/vector_avx2.h"
#include "ops/packed_linear/fma_kernels.h"
#include "ops/packed_linear/kernels.h"

namespace dolly4j {

PackedLinear packed_linear_avx2(WeightType type, SumOrder order) {
  // Of 16 registers, 10 are accumulators: of 12, g++ 12 keeps some in memory.
  return fma_kernels<Avx2, 5, 5, 4, 16>(type, order);
}

}  // namespace dolly4j
