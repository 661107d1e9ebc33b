// The functions of libtorch that the decoder's ops are made of. Shapes and types are the caller's to get right:
// libtorch reports errors as text on standard error only, which D4J_BACKEND_FAILED then points to.
#pragma once

#include <cstdint>

#include "torch/tensor.h"

namespace dolly4j::aten {

/// x [rows, k], weight [n, k], bias [n] or undefined -> [rows, n]; all of one type.
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias);

/// Over the last dimension, of the given size.
Tensor layer_norm(const Tensor& x, std::int64_t size, const Tensor& weight, const Tensor& bias, double epsilon);

/// Of float32.
Tensor erf(const Tensor& x);
Tensor tanh(const Tensor& x);

/// a * b, with broadcasting.
Tensor mul(const Tensor& a, const Tensor& b);
Tensor mul(const Tensor& a, double b);

/// a + factor * b, with broadcasting.
Tensor add(const Tensor& a, const Tensor& b, double factor = 1.0);
Tensor add(const Tensor& a, double b);

/// Elements of a dimension by int64 index, as a new contiguous tensor.
Tensor index_select(const Tensor& x, std::int64_t dimension, const Tensor& index);

/// target[index[i], ...] = source[i, ...], of one type; the int64 index has no duplicates.
void index_copy(Tensor& target, const Tensor& index, const Tensor& source);

/// q [1, h, t, d], k, v [1, h, c, d] -> [1, h, t, d], scaled by 1 / sqrt(d). Masked by the lower triangle (causal), by
/// mask (bool [t, c], true = attend), or by nothing (undefined mask).
Tensor scaled_dot_product_attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask, bool causal);

}  // namespace dolly4j::aten
