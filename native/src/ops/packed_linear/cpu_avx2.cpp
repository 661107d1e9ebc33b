#include "cpu/vector_avx2.h"
#include "ops/packed_linear/fma_kernels.h"
#include "ops/packed_linear/kernels.h"

namespace dolly4j {

PackedLinear packed_linear_avx2(WeightType type, SumOrder order) {
  // Of 16 registers, 10 are accumulators: of 12, g++ 12 keeps some in memory. Of few rows, the chunks of four blocks,
  // and what is fetched for the next, fit a first-level cache of 32 KiB: on Zen 3 4 KiB of bfloat16 are faster than 2
  // or 8.
  using Sizes = LoopSizes<5, 5, 8, 4096, 8192>;
  using GroupSizes = LoopSizes<4, 16, 8, 2048, 4096>;
  return fma_kernels<Avx2, Sizes, GroupSizes, GroupSizes>(type, order);
}

}  // namespace dolly4j
