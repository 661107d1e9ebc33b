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

template <class V, class Pair, int kMaxRows, int kAccumulators>
PackedLinear pair_kernels(SumOrder order) {
  return order == SumOrder::pairs ? kernels<VectorLinear<PairSums<V, Pair>, kMaxRows, kAccumulators>>()
                                  : kernels<VectorLinear<TileSums<V, Pair>, kMaxRows, kAccumulators>>();
}

// kMaxRows, kAccumulators: see vector_skeleton.h; kGroup..., those of int4.
template <class V, int kMaxRows, int kAccumulators, int kGroupMaxRows, int kGroupAccumulators>
PackedLinear fma_kernels(WeightType type, SumOrder order) {
  switch (type) {
    case WeightType::float32:
      return kernels<VectorLinear<Float32Sums<V>, kMaxRows, kAccumulators>>();
    case WeightType::bfloat16:
      return pair_kernels<V, Bfloat16Pair<V>, kMaxRows, kAccumulators>(order);
    case WeightType::int8:
      return pair_kernels<V, Int8Pair<V>, kMaxRows, kAccumulators>(order);
    case WeightType::int4:
      break;
  }
  return kernels<VectorLinear<GroupSums<V>, kGroupMaxRows, kGroupAccumulators>>();
}

}  // namespace
}  // namespace dolly4j
