// The kernels that one vector type gives.
#pragma once

#include "ops/packed_linear/fma_sums.h"
#include "ops/packed_linear/group_sums.h"
#include "ops/packed_linear/vector_skeleton.h"

namespace dolly4j {
namespace {

template <class Linear>
PackedLinear kernels() {
  return {Linear::prepare, Linear::run, Linear::prepared_bytes, Linear::scratch_bytes};
}

// LoopSizes for each kind of weights.
template <class V, class Sizes, class Int8Sizes, class Int4Sizes>
PackedLinear fma_kernels(WeightType type, SumOrder order) {
  switch (type) {
    case WeightType::float32:
      return kernels<VectorLinear<Float32Sums<V>, Sizes>>();
    case WeightType::bfloat16:
      return order == SumOrder::pairs ? kernels<VectorLinear<PairSums<V>, Sizes>>()
                                      : kernels<VectorLinear<TileSums<V>, Sizes>>();
    case WeightType::int8:
      return kernels<VectorLinear<GroupSums<V, Int8Groups>, Int8Sizes>>();
    case WeightType::int4:
      break;
  }
  return kernels<VectorLinear<GroupSums<V, Int4Groups>, Int4Sizes>>();
}

}  // namespace
}  // namespace dolly4j
