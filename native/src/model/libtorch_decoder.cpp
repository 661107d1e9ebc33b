#include "model/libtorch_decoder.h"

#include <string>
#include <utility>
#include <vector>

#include "api/error.h"
#include "cpu/aligned_memory.h"
#include "ops/rotary.h"
#include "torch/aten.h"
#include "torch/decoder_ops.h"

namespace dolly4j {
namespace {

using torch_ops::Rotations;

/// A matmul's weight [n, k] and bias [n]; the bias may be undefined.
struct Linear {
  Tensor weight;
  Tensor bias;
};

struct Norm {
  Tensor gamma;
  Tensor beta;
};

struct Layer {
  Norm attention_norm;
  Norm ffn_norm;  // undefined where the norm is shared
  Linear qkv;
  Linear dense;
  Linear fc1;
  Linear fc2;
};

/// Makes tensors of weights: over their memory on the CPU, as copies on a CUDA device.
class WeightTensors {
 public:
  WeightTensors(const Weights& weights, TorchDevice device) : weights_(weights), device_(device) {}

  Linear linear(d4j_slot weight, d4j_slot bias, int layer = 0) const {
    return {tensor(weight, layer), tensor(bias, layer)};
  }
  Norm norm(d4j_slot gamma, d4j_slot beta, int layer = 0) const { return {tensor(gamma, layer), tensor(beta, layer)}; }

  /// Undefined where the decoder has no such slot.
  Tensor tensor(d4j_slot slot, int layer) const {
    const WeightMatrix* matrix = weights_.find(slot, layer);
    if (matrix == nullptr) {
      return {};
    }
    const Sizes sizes = matrix->columns == 1 ? Sizes{matrix->rows} : Sizes{matrix->rows, matrix->columns};
    const TensorType type = matrix->type == WeightType::float32 ? TensorType::kFloat32 : TensorType::kBFloat16;
    void* data = matrix->data.data();
    return device_.is_cuda() ? Tensor::copy_of(data, sizes, type, device_) : Tensor::over(data, sizes, type);
  }

 private:
  const Weights& weights_;
  TorchDevice device_;
};

/// What all sessions of a decoder share.
struct Graph {
  d4j_decoder_spec spec;
  TorchDevice device;
  TensorType compute_type;
  TensorType kv_type;
  std::shared_ptr<const Weights> host_weights;  // the memory of the tensors on the CPU; none for a CUDA device
  Tensor embedding;
  std::vector<Layer> layers;
  Norm final_norm;
  Linear head;
  Rotations rotations;  // of all positions of the context
};

Graph make_graph(const d4j_decoder_spec& spec, const d4j_model_options& options,
                 const std::shared_ptr<const Weights>& weights) {
  const NoGrad no_grad;
  Graph graph;
  graph.spec = spec;
  graph.device = {options.cuda_device};
  graph.compute_type = options.weight_type == D4J_FLOAT32 ? TensorType::kFloat32 : TensorType::kBFloat16;
  graph.kv_type = options.kv_type == D4J_FLOAT32 ? TensorType::kFloat32 : TensorType::kBFloat16;
  if (!graph.device.is_cuda()) {
    graph.host_weights = weights;
  }
  const WeightTensors tensors(*weights, graph.device);
  graph.embedding = tensors.tensor(D4J_EMBEDDING, 0);
  for (int i = 0; i < spec.layers; ++i) {
    Layer layer;
    layer.attention_norm = tensors.norm(D4J_ATTENTION_NORM_WEIGHT, D4J_ATTENTION_NORM_BIAS, i);
    layer.ffn_norm = tensors.norm(D4J_FFN_NORM_WEIGHT, D4J_FFN_NORM_BIAS, i);
    layer.qkv = tensors.linear(D4J_QKV_WEIGHT, D4J_QKV_BIAS, i);
    layer.dense = tensors.linear(D4J_DENSE_WEIGHT, D4J_DENSE_BIAS, i);
    layer.fc1 = tensors.linear(D4J_FC1_WEIGHT, D4J_FC1_BIAS, i);
    layer.fc2 = tensors.linear(D4J_FC2_WEIGHT, D4J_FC2_BIAS, i);
    graph.layers.push_back(std::move(layer));
  }
  graph.final_norm = tensors.norm(D4J_FINAL_NORM_WEIGHT, D4J_FINAL_NORM_BIAS);
  graph.head = tensors.linear(D4J_HEAD_WEIGHT, D4J_HEAD_BIAS);
  if (spec.tied_head != 0) {
    graph.head.weight = graph.embedding.share();
  }
  graph.rotations =
      Rotations::of_first(spec.context_length, rotary_inverse_frequencies(spec.rotary_dims, spec.rotary_base),
                          spec.head_size, graph.device);
  return graph;
}

/// The KV cache of a session and the steps over it. The graph outlives it.
class LibtorchRunner final : public StepRunner {
 public:
  LibtorchRunner(const Graph& graph, const d4j_session_options& options);

  void run(const d4j_step& step, const std::atomic<bool>& abort) override;
  void copy_block(std::int32_t source, std::int32_t target) override;

 private:
  /// What the layers of a step share.
  struct StepContext {
    TorchBatch batch;
    Rotations rotations;  // of the rows' positions
  };

  Tensor new_cache(const d4j_session_options& options);
  Tensor normalize(const Norm& norm, const Tensor& x) const;
  Tensor attention(std::size_t layer, const Tensor& normed, const StepContext& context);
  Tensor feed_forward(const Layer& layer, const Tensor& normed) const;
  Tensor block(std::size_t layer, const Tensor& x, const StepContext& context);
  void compute_logits(const Tensor& x, const d4j_step& step) const;

  const Graph& graph_;
  std::vector<AlignedMemory> cache_memory_;  // of the CPU's caches
  std::vector<Tensor> keys_;                 // per layer [slots, heads, head size]
  std::vector<Tensor> values_;
};

LibtorchRunner::LibtorchRunner(const Graph& graph, const d4j_session_options& options) : graph_(graph) {
  for (int i = 0; i < graph.spec.layers; ++i) {
    keys_.push_back(new_cache(options));
    values_.push_back(new_cache(options));
  }
}

Tensor LibtorchRunner::new_cache(const d4j_session_options& options) {
  const Sizes sizes{std::int64_t{options.blocks} * D4J_BLOCK_SIZE, graph_.spec.heads, graph_.spec.head_size};
  if (graph_.device.is_cuda()) {
    Tensor cache = Tensor::empty(sizes, graph_.kv_type, graph_.device);
    cache.fill_zero();
    return cache;
  }
  const std::int64_t element = graph_.kv_type == TensorType::kFloat32 ? 4 : 2;
  const std::int64_t bytes = sizes[0] * graph_.spec.hidden_size * element;
  cache_memory_.emplace_back(static_cast<std::size_t>(bytes), "KV cache");
  return Tensor::over(cache_memory_.back().data(), sizes, graph_.kv_type);
}

/// For the matmul that reads it.
Tensor LibtorchRunner::normalize(const Norm& norm, const Tensor& x) const {
  return torch_ops::layer_norm(x, norm.gamma, norm.beta, graph_.spec.norm_epsilon, graph_.compute_type);
}

Tensor apply(const Linear& linear, const Tensor& x) {
  return torch_ops::linear(x, linear.weight, linear.bias).to(TensorType::kFloat32);
}

/// Attention of normalised rows, before the residual. Appends their keys and values.
Tensor LibtorchRunner::attention(std::size_t layer, const Tensor& normed, const StepContext& context) {
  const std::int64_t rows = normed.size(0);
  const std::int64_t hidden = graph_.spec.hidden_size;
  const std::int64_t head_size = graph_.spec.head_size;
  const Tensor qkv = apply(graph_.layers[layer].qkv, normed);
  const auto [q, k] = torch_ops::rotary(qkv, context.rotations, graph_.kv_type);
  const Tensor v = qkv.view({rows, graph_.spec.heads, head_size}, {3 * hidden, head_size, 1}, 2 * hidden);
  torch_ops::kv_append(k, v, context.batch.slots, keys_[layer], values_[layer]);
  const Tensor attended = torch_ops::paged_attention(q, keys_[layer], values_[layer], context.batch);
  return apply(graph_.layers[layer].dense, attended.to(graph_.compute_type));
}

/// Feed-forward of normalised rows, before the residual.
Tensor LibtorchRunner::feed_forward(const Layer& layer, const Tensor& normed) const {
  const GeluForm form = graph_.spec.activation == D4J_GELU_TANH ? GeluForm::tanh : GeluForm::erf;
  return apply(layer.fc2, torch_ops::gelu(apply(layer.fc1, normed), form, graph_.compute_type));
}

Tensor LibtorchRunner::block(std::size_t index, const Tensor& x, const StepContext& context) {
  const Layer& layer = graph_.layers[index];
  const bool shared_norm = graph_.spec.shared_norm != 0;
  const Tensor normed = normalize(layer.attention_norm, x);
  const Tensor attended = attention(index, normed, context);
  if (graph_.spec.parallel_residual != 0) {
    const Tensor fed = feed_forward(layer, shared_norm ? normed.share() : normalize(layer.ffn_norm, x));
    return torch_ops::residual_add(x, fed, attended);
  }
  const Tensor middle = torch_ops::residual_add(x, attended, {});
  const Norm& norm = shared_norm ? layer.attention_norm : layer.ffn_norm;
  return torch_ops::residual_add(middle, feed_forward(layer, normalize(norm, middle)), {});
}

/// An int64 copy, on the device, of numbers of the step.
Tensor index_tensor(const std::int32_t* values, std::int32_t count, TorchDevice device) {
  const std::vector<std::int64_t> wide(values, values + count);
  return Tensor::copy_of(wide.data(), {count}, TensorType::kInt64, device);
}

void copy_out(const Tensor& x, float* target) {
  Tensor host = Tensor::over(target, x.sizes(), TensorType::kFloat32);
  host.copy_from(x);
}

void LibtorchRunner::compute_logits(const Tensor& x, const d4j_step& step) const {
  const Tensor wanted = index_tensor(step.logits_rows, step.logits_count, graph_.device);
  const Tensor normed = normalize(graph_.final_norm, aten::index_select(x, 0, wanted));
  copy_out(torch_ops::linear(normed, graph_.head.weight, graph_.head.bias), step.logits);
}

void LibtorchRunner::run(const d4j_step& step, const std::atomic<bool>& abort) {
  const NoGrad no_grad;
  float* hidden_out = step.hidden;
  const auto show_hidden = [&](const Tensor& x) {
    if (hidden_out != nullptr) {
      copy_out(x, hidden_out);
      hidden_out += std::int64_t{step.rows} * graph_.spec.hidden_size;
    }
  };

  StepContext context;
  context.batch = to_torch(batch_of(step), graph_.device);
  context.rotations = graph_.rotations.at(context.batch.positions);
  Tensor x = torch_ops::embedding(index_tensor(step.tokens, step.rows, graph_.device), graph_.embedding);
  show_hidden(x);
  for (std::size_t layer = 0; layer < graph_.layers.size(); ++layer) {
    if (abort.load(std::memory_order_relaxed)) {
      throw Error(D4J_ABORTED, "the step was aborted");
    }
    x = block(layer, x, context);
    show_hidden(x);
  }
  if (step.hidden != nullptr) {
    const Norm& norm = graph_.final_norm;
    show_hidden(torch_ops::layer_norm(x, norm.gamma, norm.beta, graph_.spec.norm_epsilon, TensorType::kFloat32));
  }
  if (step.logits_count > 0) {
    compute_logits(x, step);
  }
}

void LibtorchRunner::copy_block(std::int32_t source, std::int32_t target) {
  const NoGrad no_grad;
  const Sizes block{std::int64_t{D4J_BLOCK_SIZE} * graph_.spec.hidden_size};
  for (const std::vector<Tensor>* caches : {&keys_, &values_}) {
    for (const Tensor& cache : *caches) {
      Tensor to = cache.view(block, {1}, target * block[0]);
      to.copy_from(cache.view(block, {1}, source * block[0]));
    }
  }
}

class LibtorchDecoder final : public Decoder {
 public:
  explicit LibtorchDecoder(Graph graph) : graph_(std::move(graph)) {}

  std::unique_ptr<StepRunner> new_runner(const d4j_session_options& options) const override {
    return std::make_unique<LibtorchRunner>(graph_, options);
  }

 private:
  Graph graph_;
};

}  // namespace

std::unique_ptr<Decoder> new_libtorch_decoder(const d4j_decoder_spec& spec, const d4j_model_options& options,
                                              const std::shared_ptr<const Weights>& weights) {
  const int devices = libtorch().cuda_devices;
  const std::string& reason = libtorch().cuda_missing;
  if (options.cuda_device >= devices) {
    throw Error(D4J_BACKEND_MISSING, "libtorch sees " + std::to_string(devices) +
                                         " CUDA devices; device cuda:" + std::to_string(options.cuda_device) +
                                         " is not one of them" + (reason.empty() ? "" : ": " + reason) +
                                         ". It takes a libtorch with CUDA, such as that of a Python package");
  }
  return std::make_unique<LibtorchDecoder>(make_graph(spec, options, weights));
}

}  // namespace dolly4j
