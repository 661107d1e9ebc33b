// The kernels that one vector type gives.
#pragma once

#include "ops/packed_linear/fma_sums.h"
#include "ops/packed_linear/group_sums.h"
#include "ops/packed_linear/vector_skeleton.h"

namespace dolly4j {
namespace {

template <class Linear>
PackedLinear kernels() {
  return {Linear::run, Linear::scratch_bytes};
}

// kMaxRows, kAccumulators: see vector_skeleton.h; kGroup..., those of int8 and int4.
template <class V, int kMaxRows, int kAccumulators, int kGroupMaxRows, int kGroupAccumulators>
PackedLinear fma_kernels(WeightType type, SumOrder order) {
  switch (type) {
    case WeightType::float32:
      return kernels<VectorLinear<Float32Sums<V>, kMaxRows, kAccumulators>>();
    case WeightType::bfloat16:
      return order == SumOrder::pairs ? kernels<VectorLinear<PairSums<V>, kMaxRows, kAccumulators>>()
                                      : kernels<VectorLinear<TileSums<V>, kMaxRows, kAccumulators>>();
    case WeightType::int8:
      return kernels<VectorLinear<GroupSums<V, Int8Groups>, kGroupMaxRows, kGroupAccumulators>>();
    case WeightType::int4:
      break;
  }
  return kernels<VectorLinear<GroupSums<V, Int4Groups>, kGroupMaxRows, kGroupAccumulators>>();
}

}  // namespace
}  // namespace dolly4j
