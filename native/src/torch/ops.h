// The libtorch ops that the decoder step uses, called through the dispatcher. Shapes and types are the caller's to get
// right: libtorch reports errors as text on standard error only.
#pragma once

#include <cstdint>

#include "torch/tensor.h"

namespace dolly4j::torch_ops {

/// aten::linear: x [.., k], weight [n, k], bias [n] or undefined -> [.., n], in the type of x.
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias);

/// aten::layer_norm over the last dimension, of the given size.
Tensor layer_norm(const Tensor& x, std::int64_t size, const Tensor& weight, const Tensor& bias, double epsilon);

/// aten::erf and aten::tanh of float32.
Tensor erf(const Tensor& x);
Tensor tanh(const Tensor& x);

/// aten::mul.Tensor with broadcasting.
Tensor mul(const Tensor& a, const Tensor& b);

/// a + factor * b with broadcasting.
Tensor add(const Tensor& a, const Tensor& b, TorchDevice device, double factor = 1.0);

/// aten::index_select: elements of a dimension by int64 index, as a new contiguous tensor.
Tensor index_select(const Tensor& x, std::int64_t dimension, const Tensor& index);

/// aten::index_copy_: target[index[i], ...] = source[i, ...]; the index has no duplicates.
void index_copy(Tensor& target, const Tensor& index, const Tensor& source);

/// aten::scaled_dot_product_attention: q [b, h, t, d], k, v [b, h, c, d] -> [b, h, t, d], scaled by 1 / sqrt(d). Masked by
/// the lower triangle (causal), by mask (bool [t, c], true = attend), or by nothing (undefined mask).
Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask, bool causal);

}  // namespace dolly4j::torch_ops
