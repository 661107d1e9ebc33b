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

// Sizes: LoopSizes; GroupSizes, those of int8 and int4.
template <class V, class Sizes, class GroupSizes>
PackedLinear fma_kernels(WeightType type, SumOrder order) {
  switch (type) {
    case WeightType::float32:
      return kernels<VectorLinear<Float32Sums<V>, Sizes>>();
    case WeightType::bfloat16:
      return order == SumOrder::pairs ? kernels<VectorLinear<PairSums<V>, Sizes>>()
                                      : kernels<VectorLinear<TileSums<V>, Sizes>>();
    case WeightType::int8:
      return kernels<VectorLinear<GroupSums<V, Int8Groups>, GroupSizes>>();
    case WeightType::int4:
      break;
  }
  return kernels<VectorLinear<GroupSums<V, Int4Groups>, GroupSizes>>();
}

}  // namespace
}  // namespace dolly4j
