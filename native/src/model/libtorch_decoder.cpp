#include "model/libtorch_decoder.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "api/error.h"
#include "cpu/bfloat16.h"
#include "model/slots.h"
#include "torch/ops.h"
#include "torch/tensor.h"

namespace dolly4j {
namespace {

using torch_ops::add;

/// A matmul's weight [n, k] and bias [n]; the bias may be undefined.
struct Linear {
  Tensor weight;
  Tensor bias;
};

struct Norm {
  Tensor weight;
  Tensor bias;
};

struct Layer {
  Norm attention_norm;
  Norm ffn_norm;
  Linear qkv;
  Linear dense;
  Linear fc1;
  Linear fc2;
};

/// Rotation of a head in one formula over all its dimensions: y = x * cos + x[permutation] * sin, where dimensions that
/// are not rotated have cos 1 and sin 0, and sin carries the sign of rotate-half.
struct Rotary {
  Tensor cos;          // [context, 1, head size], float32
  Tensor sin;          // [context, 1, head size], float32
  Tensor permutation;  // [head size], int64
};

class LibtorchDecoder final : public Decoder {
 public:
  LibtorchDecoder(const d4j_decoder_spec& spec, const d4j_model_options& options, std::unique_ptr<Weights> weights);

  std::unique_ptr<StepRunner> new_runner(const d4j_session_options& options) const override;

  const d4j_decoder_spec& spec() const { return spec_; }
  TorchDevice device() const { return device_; }
  TensorType compute_type() const { return compute_type_; }

  Tensor embed(const Tensor& tokens, std::int64_t rows) const;
  /// LayerNorm of x [rows, hidden], rounded to the compute type for the matmul that reads it.
  Tensor normalize(const Norm& norm, const Tensor& x, std::int64_t rows) const;
  Tensor feed_forward(const Layer& layer, const Tensor& x, std::int64_t rows) const;
  Tensor gelu_erf(const Tensor& x) const;
  Tensor gelu_tanh(const Tensor& x) const;
  Tensor to_compute_type(const Tensor& x, const Sizes& sizes) const;
  Tensor to_float32(const Tensor& x, const Sizes& sizes) const;

  const std::vector<Layer>& layers() const { return layers_; }
  const Rotary& rotary() const { return rotary_; }
  const Norm& final_norm() const { return final_norm_; }
  const Linear& head() const { return head_; }

 private:
  Tensor adopt(d4j_slot slot, int layer);
  Rotary make_rotary() const;
  Tensor constant(double value) const;

  d4j_decoder_spec spec_;
  TorchDevice device_;
  TensorType compute_type_;
  std::unique_ptr<Weights> weights_;
  Tensor embedding_;
  std::vector<Layer> layers_;
  Norm final_norm_;
  Linear head_;
  Rotary rotary_;
  // Factors as tensors of one element: the dispatcher's shim cannot convert a Scalar.
  Tensor one_;
  Tensor half_;
  Tensor sqrt_half_;
  Tensor sqrt_two_over_pi_;
};

/// Rows of a sequence and where its keys and values lie.
struct SequenceRows {
  std::int64_t first_row;
  std::int64_t rows;
  std::int64_t context;
  std::int64_t contiguous_slot;  // first of context neighbouring KV slots, or -1 where they are scattered
  Tensor slots;                  // int64 [context], where they are scattered
  Tensor mask;                   // bool [rows, context], where neither all nor the lower triangle is attended to
};

class LibtorchRunner final : public StepRunner {
 public:
  LibtorchRunner(const LibtorchDecoder& decoder, const d4j_session_options& options);

  void run(const d4j_step& step, const std::atomic<bool>& abort) override;
  void copy_block(std::int32_t source, std::int32_t target) override;

 private:
  Tensor index_tensor(std::vector<std::int64_t>& values) const;
  Tensor on_device(void* data, const Sizes& sizes, TensorType type) const;
  std::vector<SequenceRows> plan_sequences(const d4j_step& step) const;
  Tensor attention(const Layer& layer, std::size_t index, const Tensor& x, std::int64_t rows);
  void copy_out(const Tensor& x, float* target, std::int64_t rows, std::int64_t columns) const;

  const LibtorchDecoder& decoder_;
  std::vector<AlignedMemory> cache_memory_;  // of the CPU's caches
  std::vector<Tensor> keys_;                 // per layer [slots, heads * head size]
  std::vector<Tensor> values_;

  // Of the running step.
  Tensor cos_;           // [rows, 1, head size]
  Tensor sin_;           // [rows, 1, head size]
  Tensor append_slots_;  // int64 [rows]
  std::vector<SequenceRows> sequences_;
};

LibtorchDecoder::LibtorchDecoder(const d4j_decoder_spec& spec, const d4j_model_options& options,
                                 std::unique_ptr<Weights> weights)
    : spec_(spec),
      device_{options.cuda_device},
      compute_type_(options.compute_type == D4J_FLOAT32 ? TensorType::kFloat32 : TensorType::kBFloat16),
      weights_(std::move(weights)) {
  const Libtorch& torch = libtorch();
  torch.aoti_torch_grad_mode_set_enabled(false);
  embedding_ = adopt(D4J_EMBEDDING, 0);
  for (int i = 0; i < spec.layers; ++i) {
    Layer layer;
    layer.attention_norm = {adopt(D4J_ATTENTION_NORM_WEIGHT, i), adopt(D4J_ATTENTION_NORM_BIAS, i)};
    layer.ffn_norm = {adopt(D4J_FFN_NORM_WEIGHT, i), adopt(D4J_FFN_NORM_BIAS, i)};
    layer.qkv = {adopt(D4J_QKV_WEIGHT, i), adopt(D4J_QKV_BIAS, i)};
    layer.dense = {adopt(D4J_DENSE_WEIGHT, i), adopt(D4J_DENSE_BIAS, i)};
    layer.fc1 = {adopt(D4J_FC1_WEIGHT, i), adopt(D4J_FC1_BIAS, i)};
    layer.fc2 = {adopt(D4J_FC2_WEIGHT, i), adopt(D4J_FC2_BIAS, i)};
    layers_.push_back(std::move(layer));
  }
  final_norm_ = {adopt(D4J_FINAL_NORM_WEIGHT, 0), adopt(D4J_FINAL_NORM_BIAS, 0)};
  head_ = {spec.tied_head != 0 ? embedding_.share() : adopt(D4J_HEAD_WEIGHT, 0), adopt(D4J_HEAD_BIAS, 0)};
  rotary_ = make_rotary();
  one_ = constant(1.0);
  half_ = constant(0.5);
  sqrt_half_ = constant(std::sqrt(0.5));
  sqrt_two_over_pi_ = constant(std::sqrt(2.0 / std::acos(-1.0)));
}

Tensor LibtorchDecoder::constant(double value) const {
  float element = static_cast<float>(value);
  Tensor tensor = Tensor::empty({1}, TensorType::kFloat32, device_);
  tensor.copy_from(Tensor::over(&element, {1}, TensorType::kFloat32));
  return tensor;
}

// aten::gelu is not used: it takes a string, and libtorch 2.10's shim leaks every string it converts.

Tensor LibtorchDecoder::gelu_erf(const Tensor& x) const {
  const Tensor erf = torch_ops::erf(torch_ops::mul(x, sqrt_half_));
  return torch_ops::mul(torch_ops::mul(x, half_), add(erf, one_, device_));
}

Tensor LibtorchDecoder::gelu_tanh(const Tensor& x) const {
  const Tensor cube = torch_ops::mul(torch_ops::mul(x, x), x);
  const Tensor tanh = torch_ops::tanh(torch_ops::mul(add(x, cube, device_, 0.044715), sqrt_two_over_pi_));
  return torch_ops::mul(torch_ops::mul(x, half_), add(tanh, one_, device_));
}

/// A slot as a tensor on the device, undefined where the decoder has no such slot. The CPU's tensors use the memory of
/// the weights; a GPU's are copies, and the memory is freed.
Tensor LibtorchDecoder::adopt(d4j_slot slot, int layer) {
  const WeightMatrix* matrix = weights_->find(slot, layer);
  if (matrix == nullptr) {
    return {};
  }
  const Sizes sizes = matrix->columns == 1 ? Sizes{matrix->rows} : Sizes{matrix->rows, matrix->columns};
  const TensorType type = matrix->is_float32 ? TensorType::kFloat32 : TensorType::kBFloat16;
  Tensor host = Tensor::over(matrix->data.data(), sizes, type);
  if (!device_.is_cuda()) {
    return host;
  }
  Tensor tensor = Tensor::empty(sizes, type, device_);
  tensor.copy_from(host);
  weights_->take(slot, layer);
  return tensor;
}

Rotary LibtorchDecoder::make_rotary() const {
  const std::int64_t positions = spec_.context_length;
  const std::int64_t size = spec_.head_size;
  const std::int64_t dims = spec_.rotary_dims;
  const std::int64_t half = dims / 2;
  std::vector<float> cos(static_cast<std::size_t>(positions * size), 1.0F);
  std::vector<float> sin(static_cast<std::size_t>(positions * size), 0.0F);
  for (std::int64_t i = 0; i < half; ++i) {
    // As GPTNeoXRotaryEmbedding: frequencies and angles are float32 products.
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(dims);
    const float frequency = 1.0F / static_cast<float>(std::pow(spec_.rotary_base, static_cast<double>(exponent)));
    for (std::int64_t p = 0; p < positions; ++p) {
      const float angle = static_cast<float>(p) * frequency;
      const auto low = static_cast<std::size_t>(p * size + i);
      const auto high = static_cast<std::size_t>(p * size + i + half);
      cos[low] = cos[high] = static_cast<float>(std::cos(static_cast<double>(angle)));
      sin[high] = static_cast<float>(std::sin(static_cast<double>(angle)));
      sin[low] = -sin[high];
    }
  }
  std::vector<std::int64_t> permutation(static_cast<std::size_t>(size));
  for (std::int64_t i = 0; i < size; ++i) {
    permutation[static_cast<std::size_t>(i)] = i < half ? i + half : i < dims ? i - half : i;
  }
  const auto own = [this](void* data, const Sizes& sizes, TensorType type) {
    Tensor tensor = Tensor::empty(sizes, type, device_);
    tensor.copy_from(Tensor::over(data, sizes, type));
    return tensor;
  };
  return {own(cos.data(), {positions, 1, size}, TensorType::kFloat32),
          own(sin.data(), {positions, 1, size}, TensorType::kFloat32),
          own(permutation.data(), {size}, TensorType::kInt64)};
}

std::unique_ptr<StepRunner> LibtorchDecoder::new_runner(const d4j_session_options& options) const {
  return std::make_unique<LibtorchRunner>(*this, options);
}

Tensor LibtorchDecoder::to_compute_type(const Tensor& x, const Sizes& sizes) const {
  return x.to(sizes, TensorType::kFloat32, compute_type_, device_);
}

Tensor LibtorchDecoder::to_float32(const Tensor& x, const Sizes& sizes) const {
  return x.to(sizes, compute_type_, TensorType::kFloat32, device_);
}

Tensor LibtorchDecoder::embed(const Tensor& tokens, std::int64_t rows) const {
  return to_float32(torch_ops::index_select(embedding_, 0, tokens), {rows, spec_.hidden_size});
}

Tensor LibtorchDecoder::normalize(const Norm& norm, const Tensor& x, std::int64_t rows) const {
  const Tensor y = torch_ops::layer_norm(x, spec_.hidden_size, norm.weight, norm.bias, spec_.norm_epsilon);
  return to_compute_type(y, {rows, spec_.hidden_size});
}

Tensor LibtorchDecoder::feed_forward(const Layer& layer, const Tensor& x, std::int64_t rows) const {
  const Tensor up = to_float32(torch_ops::linear(x, layer.fc1.weight, layer.fc1.bias), {rows, spec_.ffn_size});
  const Tensor activated = spec_.activation == D4J_GELU_TANH ? gelu_tanh(up) : gelu_erf(up);
  const Tensor down =
      torch_ops::linear(to_compute_type(activated, {rows, spec_.ffn_size}), layer.fc2.weight, layer.fc2.bias);
  return to_float32(down, {rows, spec_.hidden_size});
}

LibtorchRunner::LibtorchRunner(const LibtorchDecoder& decoder, const d4j_session_options& options) : decoder_(decoder) {
  const d4j_decoder_spec& spec = decoder.spec();
  const Sizes sizes{std::int64_t{options.blocks} * D4J_BLOCK_SIZE, spec.hidden_size};
  const std::size_t element = decoder.compute_type() == TensorType::kFloat32 ? 4 : 2;
  const auto new_cache = [&] {
    if (decoder.device().is_cuda()) {
      Tensor cache = Tensor::empty(sizes, decoder.compute_type(), decoder.device());
      cache.fill_zero();
      return cache;
    }
    cache_memory_.emplace_back(static_cast<std::size_t>(sizes[0] * sizes[1]) * element, "KV cache");
    return Tensor::over(cache_memory_.back().data(), sizes, decoder.compute_type());
  };
  for (int i = 0; i < spec.layers; ++i) {
    keys_.push_back(new_cache());
    values_.push_back(new_cache());
  }
}

/// A tensor on the device with the caller's data; shares them on the CPU, so the caller keeps them for the step.
Tensor LibtorchRunner::on_device(void* data, const Sizes& sizes, TensorType type) const {
  Tensor host = Tensor::over(data, sizes, type);
  if (!decoder_.device().is_cuda()) {
    return host;
  }
  Tensor tensor = Tensor::empty(sizes, type, decoder_.device());
  tensor.copy_from(host);
  return tensor;
}

/// An index tensor that owns a copy of the values.
Tensor LibtorchRunner::index_tensor(std::vector<std::int64_t>& values) const {
  const Sizes sizes{static_cast<std::int64_t>(values.size())};
  Tensor tensor = Tensor::empty(sizes, TensorType::kInt64, decoder_.device());
  tensor.copy_from(Tensor::over(values.data(), sizes, TensorType::kInt64));
  return tensor;
}

std::vector<SequenceRows> LibtorchRunner::plan_sequences(const d4j_step& step) const {
  std::vector<SequenceRows> plans;
  plans.reserve(static_cast<std::size_t>(step.sequences));
  for (std::int32_t s = 0; s < step.sequences; ++s) {
    SequenceRows plan{};
    plan.first_row = step.sequence_starts[s];
    plan.rows = step.sequence_starts[s + 1] - plan.first_row;
    plan.context = step.context_lengths[s];
    const std::int32_t* table = step.block_tables + std::int64_t{s} * step.block_table_stride;
    const std::int64_t blocks = (plan.context + D4J_BLOCK_SIZE - 1) / D4J_BLOCK_SIZE;
    bool contiguous = true;
    for (std::int64_t b = 1; b < blocks; ++b) {
      contiguous &= table[b] == table[b - 1] + 1;
    }
    plan.contiguous_slot = contiguous ? std::int64_t{table[0]} * D4J_BLOCK_SIZE : -1;
    if (!contiguous) {
      std::vector<std::int64_t> slots(static_cast<std::size_t>(plan.context));
      for (std::int64_t p = 0; p < plan.context; ++p) {
        slots[static_cast<std::size_t>(p)] =
            std::int64_t{table[p / D4J_BLOCK_SIZE]} * D4J_BLOCK_SIZE + p % D4J_BLOCK_SIZE;
      }
      plan.slots = index_tensor(slots);
    }
    if (plan.rows > 1 && plan.rows < plan.context) {
      const std::int64_t cached = plan.context - plan.rows;
      std::vector<std::uint8_t> mask(static_cast<std::size_t>(plan.rows * plan.context));
      for (std::int64_t r = 0; r < plan.rows; ++r) {
        std::fill_n(mask.begin() + r * plan.context, cached + r + 1, std::uint8_t{1});
      }
      const Sizes sizes{plan.rows, plan.context};
      plan.mask = Tensor::empty(sizes, TensorType::kBool, decoder_.device());
      plan.mask.copy_from(Tensor::over(mask.data(), sizes, TensorType::kBool));
    }
    plans.push_back(std::move(plan));
  }
  return plans;
}

/// Attention of normalised rows x [rows, hidden], in float32, before the residual. Appends their keys and values.
Tensor LibtorchRunner::attention(const Layer& layer, std::size_t index, const Tensor& x, std::int64_t rows) {
  const d4j_decoder_spec& spec = decoder_.spec();
  const std::int64_t hidden = spec.hidden_size;
  const std::int64_t heads = spec.heads;
  const std::int64_t size = spec.head_size;

  const Tensor qkv = decoder_.to_float32(torch_ops::linear(x, layer.qkv.weight, layer.qkv.bias), {rows, 3 * hidden});
  const Tensor qk = qkv.view({rows, 2 * heads, size}, {3 * hidden, size, 1}, 0);
  const Tensor swapped = torch_ops::index_select(qk, 2, decoder_.rotary().permutation);
  const Tensor rotated =
      add(torch_ops::mul(qk, cos_), torch_ops::mul(swapped, sin_), decoder_.device());  // [rows, 2 * heads, size]
  const Tensor rounded = decoder_.to_compute_type(rotated, {rows, 2 * heads, size});
  // A view's strides are its own; whatever layout the sum has, these three tensors are contiguous.
  Tensor q = Tensor::empty({rows, hidden}, decoder_.compute_type(), decoder_.device());
  Tensor k = Tensor::empty({rows, hidden}, decoder_.compute_type(), decoder_.device());
  Tensor v = Tensor::empty({rows, hidden}, decoder_.compute_type(), decoder_.device());
  q.copy_from(rounded.view({rows, hidden}, {2 * hidden, 1}, 0));
  k.copy_from(rounded.view({rows, hidden}, {2 * hidden, 1}, hidden));
  v.copy_from(qkv.view({rows, hidden}, {3 * hidden, 1}, 2 * hidden));
  torch_ops::index_copy(keys_[index], append_slots_, k);
  torch_ops::index_copy(values_[index], append_slots_, v);

  Tensor attended = Tensor::empty({rows, hidden}, decoder_.compute_type(), decoder_.device());
  for (const SequenceRows& sequence : sequences_) {
    const std::int64_t context = sequence.context;
    const auto cached = [&](const Tensor& cache) {
      const Sizes sizes{1, heads, context, size};
      const Sizes strides{context * hidden, size, hidden, 1};
      return sequence.contiguous_slot >= 0 ? cache.view(sizes, strides, sequence.contiguous_slot * hidden)
                                           : torch_ops::index_select(cache, 0, sequence.slots).view(sizes, strides, 0);
    };
    const Sizes sizes{1, heads, sequence.rows, size};
    const Sizes strides{sequence.rows * hidden, size, hidden, 1};
    const bool causal = sequence.rows > 1 && sequence.rows == context;
    const Tensor result = torch_ops::attention(q.view(sizes, strides, sequence.first_row * hidden),
                                               cached(keys_[index]), cached(values_[index]), sequence.mask, causal);
    Tensor target = attended.view(sizes, strides, sequence.first_row * hidden);
    target.copy_from(result);
  }
  return decoder_.to_float32(torch_ops::linear(attended, layer.dense.weight, layer.dense.bias), {rows, hidden});
}

void LibtorchRunner::copy_out(const Tensor& x, float* target, std::int64_t rows, std::int64_t columns) const {
  Tensor host = Tensor::over(target, {rows, columns}, TensorType::kFloat32);
  host.copy_from(x);
}

void LibtorchRunner::run(const d4j_step& step, const std::atomic<bool>& abort) {
  libtorch().aoti_torch_grad_mode_set_enabled(false);
  const d4j_decoder_spec& spec = decoder_.spec();
  const TorchDevice device = decoder_.device();
  const std::int64_t rows = step.rows;
  const std::int64_t hidden = spec.hidden_size;

  std::vector<std::int64_t> tokens(step.tokens, step.tokens + rows);
  std::vector<std::int64_t> positions(step.positions, step.positions + rows);
  std::vector<std::int64_t> slots(static_cast<std::size_t>(rows));
  for (std::int32_t s = 0; s < step.sequences; ++s) {
    for (std::int32_t r = step.sequence_starts[s]; r < step.sequence_starts[s + 1]; ++r) {
      const std::int32_t position = step.positions[r];
      const std::int64_t entry = std::int64_t{s} * step.block_table_stride + position / D4J_BLOCK_SIZE;
      slots[static_cast<std::size_t>(r)] =
          std::int64_t{step.block_tables[entry]} * D4J_BLOCK_SIZE + position % D4J_BLOCK_SIZE;
    }
  }
  const Tensor position_index = on_device(positions.data(), {rows}, TensorType::kInt64);
  cos_ = torch_ops::index_select(decoder_.rotary().cos, 0, position_index);
  sin_ = torch_ops::index_select(decoder_.rotary().sin, 0, position_index);
  append_slots_ = on_device(slots.data(), {rows}, TensorType::kInt64);
  sequences_ = plan_sequences(step);

  float* hidden_out = step.hidden;
  const auto show_hidden = [&](const Tensor& x) {
    if (hidden_out != nullptr) {
      copy_out(x, hidden_out, rows, hidden);
      hidden_out += rows * hidden;
    }
  };

  Tensor x = decoder_.embed(on_device(tokens.data(), {rows}, TensorType::kInt64), rows);
  show_hidden(x);
  for (std::size_t i = 0; i < decoder_.layers().size(); ++i) {
    if (abort.load(std::memory_order_relaxed)) {
      throw Error(D4J_ABORTED, "the step was aborted");
    }
    const Layer& layer = decoder_.layers()[i];
    const Tensor normed = decoder_.normalize(layer.attention_norm, x, rows);
    const Tensor attended = attention(layer, i, normed, rows);
    if (spec.parallel_residual != 0) {
      const Tensor fed = spec.shared_norm != 0
                             ? decoder_.feed_forward(layer, normed, rows)
                             : decoder_.feed_forward(layer, decoder_.normalize(layer.ffn_norm, x, rows), rows);
      x = add(add(fed, attended, device), x, device);
    } else {
      x = add(attended, x, device);
      const Norm& norm = spec.shared_norm != 0 ? layer.attention_norm : layer.ffn_norm;
      x = add(decoder_.feed_forward(layer, decoder_.normalize(norm, x, rows), rows), x, device);
    }
    show_hidden(x);
  }

  const auto final_norm = [&](const Tensor& y) {
    return torch_ops::layer_norm(y, hidden, decoder_.final_norm().weight, decoder_.final_norm().bias,
                                 spec.norm_epsilon);
  };
  if (hidden_out != nullptr) {
    show_hidden(final_norm(x));
  }
  if (step.logits_count > 0) {
    const std::int64_t count = step.logits_count;
    std::vector<std::int64_t> wanted(step.logits_rows, step.logits_rows + count);
    const Tensor last = torch_ops::index_select(x, 0, on_device(wanted.data(), {count}, TensorType::kInt64));
    const Tensor normed = decoder_.to_compute_type(final_norm(last), {count, hidden});
    const Linear& head = decoder_.head();
    copy_out(torch_ops::linear(normed, head.weight, head.bias), step.logits, count, spec.vocab_size);
  }
}

void LibtorchRunner::copy_block(std::int32_t source, std::int32_t target) {
  const std::int64_t elements = std::int64_t{D4J_BLOCK_SIZE} * decoder_.spec().hidden_size;
  for (std::vector<Tensor>* caches : {&keys_, &values_}) {
    for (const Tensor& cache : *caches) {
      Tensor to = cache.view({elements}, target * elements);
      to.copy_from(cache.view({elements}, source * elements));
    }
  }
}

}  // namespace

std::unique_ptr<Decoder> new_libtorch_decoder(const d4j_decoder_spec& spec, const d4j_model_options& options,
                                              std::unique_ptr<Weights> weights) {
  const Libtorch& torch = libtorch();
  if (options.cuda_device >= torch.cuda_devices) {
    throw Error(D4J_BACKEND_MISSING, "libtorch sees " + std::to_string(torch.cuda_devices) +
                                         " CUDA devices; device cuda:" + std::to_string(options.cuda_device) +
                                         " is not one of them");
  }
  return std::make_unique<LibtorchDecoder>(spec, options, std::move(weights));
}

}  // namespace dolly4j
