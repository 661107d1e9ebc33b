#include "torch/decoder_ops.h"

#include <cmath>

#include "ops/rotary.h"
#include "torch/aten.h"

namespace dolly4j::torch_ops {
namespace {

Tensor gelu_erf(const Tensor& x) {
  const Tensor erf = aten::erf(aten::mul(x, std::sqrt(0.5)));
  return aten::mul(aten::mul(x, 0.5), aten::add(erf, 1.0));
}

Tensor gelu_tanh(const Tensor& x) {
  const Tensor cube = aten::mul(aten::mul(x, x), x);
  const double sqrt_two_over_pi = std::sqrt(2 / std::acos(-1.0));
  const Tensor tanh = aten::tanh(aten::mul(aten::add(x, cube, 0.044715), sqrt_two_over_pi));
  return aten::mul(aten::mul(x, 0.5), aten::add(tanh, 1.0));
}

}  // namespace

Tensor embedding(const Tensor& tokens, const Tensor& table) {
  return aten::index_select(table, 0, tokens).to(TensorType::kFloat32);
}

Tensor layer_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, double epsilon, TensorType result) {
  return aten::layer_norm(x, x.size(1), gamma, beta, epsilon).to(result);
}

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias) { return aten::linear(x, weight, bias); }

// Not by aten::gelu: it takes a string, and libtorch 2.10's shim leaks every string it converts.
Tensor gelu(const Tensor& x, GeluForm form, TensorType result) {
  return (form == GeluForm::tanh ? gelu_tanh(x) : gelu_erf(x)).to(result);
}

Rotations Rotations::of_first(std::int64_t count, const std::vector<float>& inverse_frequencies, std::int64_t head_size,
                              TorchDevice device) {
  const auto half = static_cast<std::int64_t>(inverse_frequencies.size());
  std::vector<float> cos(static_cast<std::size_t>(count * head_size), 1.0F);
  std::vector<float> sin(static_cast<std::size_t>(count * head_size), 0.0F);
  for (std::int64_t position = 0; position < count; ++position) {
    for (std::int64_t i = 0; i < half; ++i) {
      const SineAndCosine turn =
          rotary_sine_and_cosine(static_cast<float>(position) * inverse_frequencies[static_cast<std::size_t>(i)]);
      const auto low = static_cast<std::size_t>(position * head_size + i);
      const auto high = static_cast<std::size_t>(position * head_size + i + half);
      cos[low] = cos[high] = turn.cosine;
      sin[high] = turn.sine;
      sin[low] = -sin[high];
    }
  }
  std::vector<std::int64_t> permutation;
  for (std::int64_t i = 0; i < head_size; ++i) {
    permutation.push_back(i < half ? i + half : i < 2 * half ? i - half : i);
  }
  const Sizes sizes{count, 1, head_size};
  return {Tensor::copy_of(cos.data(), sizes, TensorType::kFloat32, device),
          Tensor::copy_of(sin.data(), sizes, TensorType::kFloat32, device),
          Tensor::copy_of(permutation.data(), {head_size}, TensorType::kInt64, device)};
}

Rotations Rotations::at(const Tensor& positions) const {
  return {aten::index_select(cos, 0, positions), aten::index_select(sin, 0, positions), permutation.share()};
}

QueriesAndKeys rotary(const Tensor& qkv, const Rotations& rotations, TensorType result) {
  const std::int64_t rows = qkv.size(0);
  const std::int64_t hidden = qkv.size(1) / 3;
  const std::int64_t head_size = rotations.permutation.size(0);
  const std::int64_t heads = hidden / head_size;
  // Q and K side by side, as heads of one tensor.
  const Tensor qk = qkv.view({rows, 2 * heads, head_size}, {3 * hidden, head_size, 1});
  const Tensor turned = aten::mul(aten::index_select(qk, 2, rotations.permutation), rotations.sin);
  const Tensor rotated = aten::add(aten::mul(qk, rotations.cos), turned).to(result);
  const Sizes sizes{rows, heads, head_size};
  const Sizes strides{rotated.stride(0), rotated.stride(1), rotated.stride(2)};
  return {rotated.view(sizes, strides), rotated.view(sizes, strides, heads * rotated.stride(1))};
}

void kv_append(const Tensor& k, const Tensor& v, const Tensor& slots, Tensor& keys, Tensor& values) {
  aten::index_copy(keys, slots, k.to(keys.type()));
  aten::index_copy(values, slots, v.to(values.type()));
}

Tensor paged_attention(const Tensor& q, const Tensor& keys, const Tensor& values, const TorchBatch& batch) {
  const std::int64_t heads = q.size(1);
  const std::int64_t head_size = q.size(2);
  const std::int64_t hidden = heads * head_size;
  Tensor attended = Tensor::empty({q.size(0), hidden}, q.type(), q.device());
  for (const TorchSequence& sequence : batch.sequences) {
    const auto context_of = [&](const Tensor& cache) {
      const Sizes sizes{1, heads, sequence.context, head_size};
      const Sizes strides{sequence.context * hidden, head_size, hidden, 1};
      return sequence.first_slot >= 0 ? cache.view(sizes, strides, sequence.first_slot * hidden)
                                      : aten::index_select(cache, 0, sequence.slots).view(sizes, strides);
    };
    const Sizes sizes{1, heads, sequence.rows, head_size};
    const Tensor rows_of_q = q.view(sizes, {sequence.rows * q.stride(0), q.stride(1), q.stride(0), q.stride(2)},
                                    sequence.first_row * q.stride(0));
    const Tensor result = aten::scaled_dot_product_attention(rows_of_q, context_of(keys), context_of(values),
                                                             sequence.mask, sequence.is_causal());
    Tensor target = attended.view(sizes, {sequence.rows * hidden, head_size, hidden, 1}, sequence.first_row * hidden);
    target.copy_from(result);
  }
  return attended;
}

Tensor residual_add(const Tensor& h, const Tensor& a, const Tensor& b) {
  return b.defined() ? aten::add(h, aten::add(a, b)) : aten::add(h, a);
}

}  // namespace dolly4j::torch_ops
