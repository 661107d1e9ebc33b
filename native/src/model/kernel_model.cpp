#include "model/kernel_model.h"

#include <algorithm>
#include <utility>

#include "ops/rotary.h"

namespace dolly4j {
namespace {

DType dtype_of(std::int32_t d4j_type) { return d4j_type == D4J_FLOAT32 ? DType::float32 : DType::bfloat16; }

const float* vector_of(const Weights& weights, d4j_slot slot, int layer = 0) {
  const WeightMatrix* matrix = weights.find(slot, layer);
  return matrix == nullptr ? nullptr : static_cast<const float*>(matrix->data.data());
}

PackedWeight matrix_of(const Weights& weights, d4j_slot weight, d4j_slot bias, int layer = 0) {
  PackedWeight packed = weights.find(weight, layer)->packed();
  packed.bias = vector_of(weights, bias, layer);
  return packed;
}

std::vector<KernelModel::Layer> layers_of(const d4j_decoder_spec& spec, const Weights& weights) {
  std::vector<KernelModel::Layer> layers;
  for (int i = 0; i < spec.layers; ++i) {
    KernelModel::Layer layer{};
    layer.attention_norm = {vector_of(weights, D4J_ATTENTION_NORM_WEIGHT, i),
                            vector_of(weights, D4J_ATTENTION_NORM_BIAS, i)};
    layer.ffn_norm = spec.shared_norm != 0 ? layer.attention_norm
                                           : KernelModel::Norm{vector_of(weights, D4J_FFN_NORM_WEIGHT, i),
                                                               vector_of(weights, D4J_FFN_NORM_BIAS, i)};
    layer.qkv = matrix_of(weights, D4J_QKV_WEIGHT, D4J_QKV_BIAS, i);
    layer.dense = matrix_of(weights, D4J_DENSE_WEIGHT, D4J_DENSE_BIAS, i);
    layer.fc1 = matrix_of(weights, D4J_FC1_WEIGHT, D4J_FC1_BIAS, i);
    layer.fc2 = matrix_of(weights, D4J_FC2_WEIGHT, D4J_FC2_BIAS, i);
    layers.push_back(layer);
  }
  return layers;
}

}  // namespace

PackedLinears::PackedLinears(Isa isa, SumOrder order, std::initializer_list<WeightType> types) : types_(types) {
  for (const WeightType type : types) {
    linears_[static_cast<std::size_t>(type)] = packed_linear(isa, type, order);
  }
}

std::int64_t PackedLinears::prepared_bytes(int rows, int inputs) const {
  std::int64_t bytes = 0;
  for (const WeightType type : types_) {
    bytes = std::max(bytes, of(type).prepared_bytes(rows, inputs));
  }
  return bytes;
}

std::int64_t PackedLinears::scratch_bytes(int rows) const {
  std::int64_t bytes = 0;
  for (const WeightType type : types_) {
    bytes = std::max(bytes, of(type).scratch_bytes(rows));
  }
  return bytes;
}

RotaryTable::RotaryTable(const d4j_decoder_spec& spec) {
  const std::vector<float> frequencies = rotary_inverse_frequencies(spec.rotary_dims, spec.rotary_base);
  for (int position = 0; position < spec.context_length; ++position) {
    for (const float frequency : frequencies) {
      const SineAndCosine turn = rotary_sine_and_cosine(static_cast<float>(position) * frequency);
      cosines.push_back(turn.cosine);
      sines.push_back(turn.sine);
    }
  }
}

KernelModel kernel_model(const d4j_decoder_spec& spec, const d4j_model_options& options,
                         const std::shared_ptr<const Weights>& weights) {
  const Isa isa = chosen_isa();
  const DType dtype = dtype_of(options.weight_type);
  const SumOrder order = isa == Isa::amx || options.portable_bits != 0 ? SumOrder::tiles : SumOrder::pairs;
  std::vector<KernelModel::Layer> layers = layers_of(spec, *weights);
  const PackedWeight head = matrix_of(*weights, D4J_HEAD_WEIGHT, D4J_HEAD_BIAS);
  return {spec,
          dtype,
          options.threads,
          order,
          // The matrices of the blocks are all of one type.
          PackedLinears(isa, order, {layers.front().qkv.type, head.type}),
          cached_attention(isa),
          rotary_append(isa),
          tiled_layer_norm(isa),
          weights,
          Input(weights->find(D4J_EMBEDDING)->data.data(), dtype),
          std::move(layers),
          {vector_of(*weights, D4J_FINAL_NORM_WEIGHT), vector_of(*weights, D4J_FINAL_NORM_BIAS)},
          head,
          kv_cache_shape(spec, static_cast<d4j_dtype>(options.kv_type)),
          RotaryTable(spec)};
}

PackedKvCache kv_cache_shape(const d4j_decoder_spec& spec, d4j_dtype kv_type) {
  return {nullptr, nullptr, dtype_of(kv_type), spec.heads, spec.head_size};
}

}  // namespace dolly4j
