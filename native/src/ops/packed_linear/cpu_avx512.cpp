#include "cpu/vector_avx512.h"
#include "ops/packed_linear/avx512_sizes.h"
#include "ops/packed_linear/fma_kernels.h"
#include "ops/packed_linear/kernels.h"

namespace dolly4j {

PackedLinear packed_linear_avx512(WeightType type, SumOrder order) {
  return fma_kernels<Avx512, Avx512Sizes, Avx512Int8Sizes, Avx512Int4Sizes>(type, order);
}

}  // namespace dolly4j
