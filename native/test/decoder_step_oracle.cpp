#include "decoder_step_oracle.h"

#include <algorithm>
#include <cmath>

#include "model/slots.h"
#include "ops/embedding.h"
#include "ops/gelu.h"
#include "ops/kv_append.h"
#include "ops/layer_norm.h"
#include "ops/linear.h"
#include "ops/paged_attention.h"
#include "ops/quantization.h"
#include "ops/residual_add.h"
#include "ops/rotary.h"
#include "random.h"

namespace dolly4j::test {
namespace {

const float* floats(const Buffer& buffer) { return static_cast<const float*>(buffer.input().data); }

float* floats(Buffer& buffer) { return static_cast<float*>(buffer.output().data); }

template <class Body>
void for_each_slot(const d4j_decoder_spec& spec, const Body& body) {
  for (int s = 0; s < D4J_SLOT_COUNT; s++) {
    const auto slot = static_cast<d4j_slot>(s);
    const SlotShape shape = slot_shape(spec, slot);
    for (int layer = 0; shape.present && layer < (shape.per_layer ? spec.layers : 1); layer++) {
      body(slot, layer, shape);
    }
  }
}

PackedMatrix quantised(const std::vector<float>& numbers, const SlotShape& shape, WeightType type) {
  PackedWeight weight{type, static_cast<int>(shape.rows), static_cast<int>(shape.columns), nullptr, nullptr};
  AlignedMemory memory(static_cast<std::size_t>(weight.blocks() * weight.block_bytes()), "a test");
  for (int block = 0; block < weight.blocks(); block++) {
    const int first = block * kBlockOutputs;
    quantize_outputs_oracle({weight, numbers.data() + std::int64_t{first} * weight.inputs, 0,
                             std::min(kBlockOutputs, weight.outputs - first),
                             static_cast<std::uint8_t*>(memory.data()) + block * weight.block_bytes()});
  }
  weight.data = memory.data();
  return {weight, std::move(memory)};
}

bool is_gain(d4j_slot slot) {
  return slot == D4J_ATTENTION_NORM_WEIGHT || slot == D4J_FFN_NORM_WEIGHT || slot == D4J_FINAL_NORM_WEIGHT;
}

}  // namespace

DecoderWeights random_decoder_weights(const d4j_decoder_spec& spec, std::uint64_t seed) {
  Random random(seed);
  DecoderWeights weights;
  for_each_slot(spec, [&](d4j_slot slot, int layer, const SlotShape& shape) {
    float deviation = 0.1F;
    if (slot == D4J_EMBEDDING) {
      deviation = 1;
    } else if (shape.columns > 1) {
      deviation = 1 / std::sqrt(static_cast<float>(shape.columns));
    }
    weights[{slot, layer}] = random.normals(shape.rows * shape.columns, deviation, is_gain(slot) ? 1.0F : 0.0F);
  });
  return weights;
}

DecoderStepOracle::DecoderStepOracle(const d4j_decoder_spec& spec, DecoderTypes types, const DecoderWeights& weights,
                                     int blocks)
    : spec_(spec),
      compute_type_(types.weights == D4J_FLOAT32 ? DType::float32 : DType::bfloat16),
      kv_type_(types.kv == D4J_FLOAT32 ? DType::float32 : DType::bfloat16),
      inverse_frequencies_(rotary_inverse_frequencies(spec.rotary_dims, spec.rotary_base)) {
  for_each_slot(spec, [&](d4j_slot slot, int layer, const SlotShape& shape) {
    Buffer buffer(weights.at({slot, layer}), shape.kind == SlotKind::norm ? DType::float32 : compute_type_);
    if (shape.columns == 1) {
      // Vectors are operands in float32; a bias of a bfloat16 decoder keeps its rounding.
      buffer = Buffer(buffer.floats(), DType::float32);
    }
    weights_.emplace(std::pair{slot, layer}, std::move(buffer));
    const bool is_quantised = types.weights == D4J_INT8 || types.weights == D4J_INT4;
    if (is_quantised && shape.kind == SlotKind::matrix) {
      // The embedding itself is not; but it may serve as the head, too.
      const bool is_head = slot == D4J_EMBEDDING || slot == D4J_HEAD_WEIGHT;
      const bool is_int4 = types.weights == D4J_INT4 && !is_head;
      quantised_.emplace(std::pair{slot, layer},
                         quantised(weights.at({slot, layer}), shape, is_int4 ? WeightType::int4 : WeightType::int8));
    }
  });
  const Buffer cache(std::int64_t{blocks} * kKvBlockSize * spec.hidden_size, kv_type_);
  keys_.assign(spec.layers, cache);
  values_.assign(spec.layers, cache);
}

// A linear of quantised weights, in float32.
Buffer DecoderStepOracle::quantised_linear(const Buffer& x, const PackedMatrix& matrix, const float* bias,
                                           int rows) const {
  const int inputs = matrix.weight.inputs;
  std::vector<bfloat16> tiles(activation_elements(rows, inputs));
  const Activations activations{tiles.data(), DType::bfloat16, inputs};
  for (int t = 0; t < rows; t++) {
    for (int k = 0; k < inputs; k++) {
      tiles[activations.place(t, k)] = to_bfloat16(x.at(std::int64_t{t} * inputs + k));
    }
  }
  Buffer y(std::int64_t{rows} * matrix.weight.outputs, DType::float32);
  PackedLinearArgs args{};
  args.weight = matrix.weight;
  args.weight.bias = bias;
  args.order = SumOrder::pairs;
  args.x = activations;
  args.rows = rows;
  args.result = LinearResult::store;
  args.y = floats(y);
  args.y_stride = matrix.weight.outputs;
  packed_linear_oracle(args);
  return y;
}

// In float32; no bias if the decoder lacks the slot.
Buffer DecoderStepOracle::linear(const Buffer& x, d4j_slot weight, d4j_slot bias, int layer, int rows) const {
  const Buffer& matrix = weights_.at({weight, layer});
  const auto found = weights_.find({bias, layer});
  if (const auto matrix_found = quantised_.find({weight, layer}); matrix_found != quantised_.end()) {
    return quantised_linear(x, matrix_found->second, found == weights_.end() ? nullptr : floats(found->second), rows);
  }
  const auto inputs = static_cast<int>(x.count() / rows);
  const auto outputs = static_cast<int>(matrix.count() / inputs);
  Buffer y(std::int64_t{rows} * outputs, DType::float32);
  linear_oracle({x.input(), matrix.input(), found == weights_.end() ? nullptr : floats(found->second), y.output(), rows,
                 outputs, inputs});
  return y;
}

Buffer DecoderStepOracle::norm(const Buffer& x, d4j_slot gain, d4j_slot bias, int layer, int rows, DType result) const {
  Buffer y(x.count(), result);
  const LayerNormOutput output{floats(weights_.at({gain, layer})), floats(weights_.at({bias, layer})), y.output()};
  layer_norm_oracle({floats(x), &output, 1, rows, spec_.hidden_size, static_cast<float>(spec_.norm_epsilon)});
  return y;
}

Buffer DecoderStepOracle::attention(const Buffer& normed, const RaggedBatch& batch, int layer) {
  const std::int64_t hidden = spec_.hidden_size;
  const Buffer qkv = linear(normed, D4J_QKV_WEIGHT, D4J_QKV_BIAS, layer, batch.rows);
  Buffer q(batch.rows * hidden, kv_type_);
  Buffer k(batch.rows * hidden, DType::float32);
  rotary_oracle({floats(qkv), floats(qkv) + hidden, 3 * hidden, batch.positions, inverse_frequencies_.data(),
                 q.output(), k.output(), batch.rows, spec_.heads, spec_.head_size, spec_.rotary_dims});
  kv_append_oracle({floats(k), hidden, floats(qkv) + 2 * hidden, 3 * hidden, keys_[layer].output(),
                    values_[layer].output(), batch, spec_.heads, spec_.head_size});
  Buffer attended(batch.rows * hidden, compute_type_);
  paged_attention_oracle({q.input(), keys_[layer].input(), values_[layer].input(), attended.output(), batch,
                          spec_.heads, spec_.head_size});
  return linear(attended, D4J_DENSE_WEIGHT, D4J_DENSE_BIAS, layer, batch.rows);
}

Buffer DecoderStepOracle::feed_forward(const Buffer& normed, int layer, int rows) const {
  const Buffer up = linear(normed, D4J_FC1_WEIGHT, D4J_FC1_BIAS, layer, rows);
  Buffer activated(up.count(), compute_type_);
  gelu_oracle(
      {floats(up), activated.output(), up.count(), spec_.activation == D4J_GELU_TANH ? GeluForm::tanh : GeluForm::erf});
  return linear(activated, D4J_FC2_WEIGHT, D4J_FC2_BIAS, layer, rows);
}

void DecoderStepOracle::block(Buffer& x, const RaggedBatch& batch, int layer) {
  const auto norm_a = [&] {
    return norm(x, D4J_ATTENTION_NORM_WEIGHT, D4J_ATTENTION_NORM_BIAS, layer, batch.rows, compute_type_);
  };
  const auto norm_f = [&] {
    return spec_.shared_norm != 0 ? norm_a()
                                  : norm(x, D4J_FFN_NORM_WEIGHT, D4J_FFN_NORM_BIAS, layer, batch.rows, compute_type_);
  };
  const Buffer attended = attention(norm_a(), batch, layer);
  if (spec_.parallel_residual != 0) {
    const Buffer fed = feed_forward(norm_f(), layer, batch.rows);
    residual_add_oracle({floats(x), floats(fed), floats(attended), x.count()});
  } else {
    residual_add_oracle({floats(x), floats(attended), nullptr, x.count()});
    const Buffer fed = feed_forward(norm_f(), layer, batch.rows);
    residual_add_oracle({floats(x), floats(fed), nullptr, x.count()});
  }
}

void DecoderStepOracle::run(const d4j_step& step) {
  const std::int64_t hidden = spec_.hidden_size;
  RaggedBatch batch{};
  batch.rows = step.rows;
  batch.sequences = step.sequences;
  batch.sequence_starts = step.sequence_starts;
  batch.context_lengths = step.context_lengths;
  batch.positions = step.positions;
  batch.block_tables = step.block_tables;
  batch.block_table_stride = step.block_table_stride;

  float* shown = step.hidden;
  const auto show = [&](const Buffer& x) {
    if (shown != nullptr) {
      shown = std::copy_n(floats(x), x.count(), shown);
    }
  };

  const Buffer& embedding = weights_.at({D4J_EMBEDDING, 0});
  Buffer x(step.rows * hidden, DType::float32);
  embedding_oracle({step.tokens, embedding.input(), floats(x), step.rows, spec_.hidden_size});
  show(x);
  for (int layer = 0; layer < spec_.layers; layer++) {
    block(x, batch, layer);
    show(x);
  }
  show(norm(x, D4J_FINAL_NORM_WEIGHT, D4J_FINAL_NORM_BIAS, 0, step.rows, DType::float32));

  const Buffer normed = norm(x, D4J_FINAL_NORM_WEIGHT, D4J_FINAL_NORM_BIAS, 0, step.rows, compute_type_);
  const d4j_slot head = spec_.tied_head != 0 ? D4J_EMBEDDING : D4J_HEAD_WEIGHT;
  const Buffer logits = linear(normed, head, D4J_HEAD_BIAS, 0, step.rows);
  for (int i = 0; i < step.logits_count; i++) {
    std::copy_n(floats(logits) + std::int64_t{step.logits_rows[i]} * spec_.vocab_size, spec_.vocab_size,
                step.logits + std::int64_t{i} * spec_.vocab_size);
  }
}

}  // namespace dolly4j::test
