#include "model/slots.h"

#include <cmath>
#include <string>

#include "api/error.h"

namespace dolly4j {
namespace {

void require_range(const char* name, std::int64_t value, std::int64_t low, std::int64_t high) {
  require(value >= low && value <= high, [&] { return "decoder spec: " + range_message(name, value, low, high); });
}

}  // namespace

void check_spec(const d4j_decoder_spec& spec) {
  // Upper bounds far above any decoder; they keep every product of two sizes within 64 bits.
  require_range("layers", spec.layers, 1, 10000);
  require_range("hidden_size", spec.hidden_size, 1, 1 << 20);
  require_range("heads", spec.heads, 1, 1 << 16);
  require_range("head_size", spec.head_size, 1, 1 << 16);
  require_range("ffn_size", spec.ffn_size, 1, 1 << 22);
  require_range("vocab_size", spec.vocab_size, 1, 1 << 24);
  require_range("context_length", spec.context_length, 1, 1 << 24);
  require_range("rotary_dims", spec.rotary_dims, 0, spec.head_size);
  require(spec.rotary_dims % 2 == 0,
          [&] { return "decoder spec: rotary_dims must be even, not " + std::to_string(spec.rotary_dims); });
  require(std::int64_t{spec.heads} * spec.head_size == spec.hidden_size, [&] {
    return "decoder spec: heads * head_size must be hidden_size, " + std::to_string(spec.hidden_size) + ", not " +
           std::to_string(spec.heads) + " * " + std::to_string(spec.head_size);
  });
  require(std::isfinite(spec.rotary_base) && spec.rotary_base > 0, "decoder spec: rotary_base must be above 0");
  require(std::isfinite(spec.norm_epsilon) && spec.norm_epsilon >= 0, "decoder spec: norm_epsilon must be 0 or above");
  require_range("activation", spec.activation, D4J_GELU_ERF, D4J_GELU_TANH);
  require_range("parallel_residual", spec.parallel_residual, 0, 1);
  require_range("shared_norm", spec.shared_norm, 0, 1);
  require_range("attention_bias", spec.attention_bias, 0, 1);
  require_range("ffn_bias", spec.ffn_bias, 0, 1);
  require_range("head_bias", spec.head_bias, 0, 1);
  require_range("tied_head", spec.tied_head, 0, 1);
}

SlotShape slot_shape(const d4j_decoder_spec& spec, d4j_slot slot) {
  const std::int64_t hidden = spec.hidden_size;
  const std::int64_t ffn = spec.ffn_size;
  const std::int64_t vocab = spec.vocab_size;
  const bool own_ffn_norm = spec.shared_norm == 0;
  const bool attention_bias = spec.attention_bias != 0;
  const bool ffn_bias = spec.ffn_bias != 0;
  constexpr SlotKind matrix = SlotKind::matrix;
  constexpr SlotKind bias = SlotKind::bias;
  constexpr SlotKind norm = SlotKind::norm;
  switch (slot) {
    case D4J_EMBEDDING:
      return {vocab, hidden, matrix, false, true};
    case D4J_ATTENTION_NORM_WEIGHT:
    case D4J_ATTENTION_NORM_BIAS:
      return {hidden, 1, norm, true, true};
    case D4J_FFN_NORM_WEIGHT:
    case D4J_FFN_NORM_BIAS:
      return {hidden, 1, norm, true, own_ffn_norm};
    case D4J_QKV_WEIGHT:
      return {3 * hidden, hidden, matrix, true, true};
    case D4J_QKV_BIAS:
      return {3 * hidden, 1, bias, true, attention_bias};
    case D4J_DENSE_WEIGHT:
      return {hidden, hidden, matrix, true, true};
    case D4J_DENSE_BIAS:
      return {hidden, 1, bias, true, attention_bias};
    case D4J_FC1_WEIGHT:
      return {ffn, hidden, matrix, true, true};
    case D4J_FC1_BIAS:
      return {ffn, 1, bias, true, ffn_bias};
    case D4J_FC2_WEIGHT:
      return {hidden, ffn, matrix, true, true};
    case D4J_FC2_BIAS:
      return {hidden, 1, bias, true, ffn_bias};
    case D4J_FINAL_NORM_WEIGHT:
    case D4J_FINAL_NORM_BIAS:
      return {hidden, 1, norm, false, true};
    case D4J_HEAD_WEIGHT:
      return {vocab, hidden, matrix, false, spec.tied_head == 0};
    case D4J_HEAD_BIAS:
      return {vocab, 1, bias, false, spec.head_bias != 0};
    case D4J_SLOT_COUNT:
      break;
  }
  throw Error(D4J_INVALID_ARGUMENT, "unknown weight slot " + std::to_string(static_cast<int>(slot)));
}

const char* slot_name(d4j_slot slot) {
  static constexpr const char* kNames[D4J_SLOT_COUNT] = {
      "embedding", "attention_norm.weight", "attention_norm.bias", "ffn_norm.weight", "ffn_norm.bias", "qkv.weight",
      "qkv.bias",  "dense.weight",          "dense.bias",          "fc1.weight",      "fc1.bias",      "fc2.weight",
      "fc2.bias",  "final_norm.weight",     "final_norm.bias",     "head.weight",     "head.bias"};
  return slot >= 0 && slot < D4J_SLOT_COUNT ? kNames[slot] : "unknown";
}

}  // namespace dolly4j
