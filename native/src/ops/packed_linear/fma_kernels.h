// The kernels that one vector type gives.
#pragma once

#include "ops/packed_linear/fma_sums.h"
#include "ops/packed_linear/vector_skeleton.h"

namespace dolly4j {
namespace {

template <class Linear>
PackedLinear kernels() {
  return {Linear::run, Linear::scratch_bytes};
}

// kMaxRows, kAccumulators: see vector_skeleton.h.
template <class V, int kMaxRows, int kAccumulators>
PackedLinear fma_kernels(WeightType type, SumOrder order) {
  if (type == WeightType::float32) {
    return kernels<VectorLinear<Float32Sums<V>, kMaxRows, kAccumulators>>();
  }
  if (order == SumOrder::pairs) {
    return kernels<VectorLinear<PairSums<V>, kMaxRows, kAccumulators>>();
  }
  return kernels<VectorLinear<TileSums<V>, kMaxRows, kAccumulators>>();
}

}  // namespace
}  // namespace dolly4j
