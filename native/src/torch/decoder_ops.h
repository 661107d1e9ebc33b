// The ops of a decoder step by libtorch, one function each. The header of the same name in ops/ says what an op means;
// here stand the shapes and types of its tensors, and where libtorch's result differs from that meaning. All tensors of
// a call are on one device; results are new tensors. Nothing is checked: the decoder's tensors fit by construction.
//
// T is float32 or bfloat16, one type for all tensors of a call.
#pragma once

#include <cstdint>
#include <vector>

#include "ops/gelu.h"
#include "torch/tensor.h"
#include "torch/torch_batch.h"

namespace dolly4j::torch_ops {

/// ops/embedding.h. tokens int64 [rows], table T [vocab, hidden] -> float32 [rows, hidden].
Tensor embedding(const Tensor& tokens, const Tensor& table);

/// ops/layer_norm.h with one norm. x float32 [rows, hidden], gamma and beta float32 [hidden] -> result type
/// [rows, hidden].
Tensor layer_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, double epsilon, TensorType result);

/// ops/linear.h. x T [rows, inputs], weight T [outputs, inputs], bias T [outputs] or undefined -> T [rows, outputs].
///
/// Unlike ops/linear.h: in bfloat16 the bias is bfloat16 too, and so is the result, rounded once; float32 results from
/// bfloat16 inputs are not offered. The bits of a row may depend on how many rows there are.
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias);

/// ops/gelu.h. x float32, of any shape -> result type.
Tensor gelu(const Tensor& x, GeluForm form, TensorType result);

/// Rotations of heads for a list of positions, in one formula over all numbers of a head:
/// x * cos + x[permutation] * sin. Numbers that are not rotated have cos 1 and sin 0; sin has rotate-half's sign.
struct Rotations {
  Tensor cos;          // float32 [positions, 1, head size]
  Tensor sin;          // float32 [positions, 1, head size]
  Tensor permutation;  // int64 [head size]

  /// The rotations of the positions 0 .. count - 1; frequencies as in ops/rotary.h, rotary_dims / 2 of them.
  static Rotations of_first(std::int64_t count, const std::vector<float>& inverse_frequencies, std::int64_t head_size,
                            TorchDevice device);

  /// Those of some of the positions, int64 [rows].
  Rotations at(const Tensor& positions) const;
};

/// Q and K, each [rows, heads, head size] with rows apart: both lie in one tensor.
struct QueriesAndKeys {
  Tensor q;
  Tensor k;
};

/// ops/rotary.h of a fused QKV with Q and K of one type. qkv float32 [rows, 3 * hidden], rotations of the rows ->
/// result type.
QueriesAndKeys rotary(const Tensor& qkv, const Rotations& rotations, TensorType result);

/// ops/kv_append.h. k and v [rows, heads, head size], rows apart or not, float32 or T; keys and values T
/// [slots, heads, head size]; slots as in TorchBatch.
void kv_append(const Tensor& k, const Tensor& v, const Tensor& slots, Tensor& keys, Tensor& values);

/// ops/paged_attention.h. q T [rows, heads, head size], rows apart or not; keys and values T [slots, heads, head size]
/// -> T [rows, heads * head size]. The keys and values of a sequence on neighbouring slots are read where they are;
/// those of another are gathered first. The bits of a row may depend on the other rows of its sequence.
Tensor paged_attention(const Tensor& q, const Tensor& keys, const Tensor& values, const TorchBatch& batch);

/// ops/residual_add.h. All float32 of one shape; b may be undefined. Returns the new h.
Tensor residual_add(const Tensor& h, const Tensor& a, const Tensor& b);

}  // namespace dolly4j::torch_ops
