// A whole decoder step made of the scalar oracles of the ops: what d4j_session_step means.
//
//   x = embedding
//   per block   parallel residual:  x = x + (feed_forward(norm_f(x)) + attention(norm_a(x)))
//               sequential:         x = x + attention(norm_a(x)), then x = x + feed_forward(norm_f(x))
//   logits = head(final_norm(x))
//
// norm_f is norm_a where the decoder shares them. attention: linear to Q|K|V, rotary, append to the paged cache,
// attention over it, linear. feed_forward: linear, GELU, linear.
//
// Computing in bfloat16 rounds, once and to nearest even: all weights but those of the norms, and the inputs of every
// linear; a cache in bfloat16, Q after rotation, K and V as they enter it. All else is float32, the results of every
// linear too. With weights in int8 or int4, matrices of linears are quantised instead (ops/quantization.h), the head
// in int8 always, and linears are those of ops/packed_linear.h.
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "buffer.h"
#include "cpu/aligned_memory.h"
#include "dolly4j.h"
#include "ops/packed_linear.h"
#include "ops/ragged_batch.h"

namespace dolly4j::test {

// Values of every slot and layer (0 outside the blocks) that a decoder has, row-major.
using DecoderWeights = std::map<std::pair<d4j_slot, int>, std::vector<float>>;

// Normal matrices that keep the size of their input, gains around 1, biases around 0.
DecoderWeights random_decoder_weights(const d4j_decoder_spec& spec, std::uint64_t seed);

// Types of weights and of the KV cache; the cache's is float32 for float32 weights, else bfloat16, unless it is given.
struct DecoderTypes {
  d4j_dtype weights;
  d4j_dtype kv;

  DecoderTypes(d4j_dtype of_weights)  // NOLINT: most decoders are of one type
      : DecoderTypes(of_weights, of_weights == D4J_FLOAT32 ? D4J_FLOAT32 : D4J_BFLOAT16) {}
  DecoderTypes(d4j_dtype of_weights, d4j_dtype of_kv) : weights(of_weights), kv(of_kv) {}

  bool operator==(const DecoderTypes& other) const { return weights == other.weights && kv == other.kv; }
};

// A matrix in the packed layout, with the memory it lies in.
struct PackedMatrix {
  PackedWeight weight;
  AlignedMemory memory;
};

// A decoder and its KV cache.
class DecoderStepOracle {
 public:
  // blocks: of the KV cache, filled with NaN.
  DecoderStepOracle(const d4j_decoder_spec& spec, DecoderTypes types, const DecoderWeights& weights, int blocks);

  // Runs a step that keeps the rules of d4j_step: fills step.logits, and step.hidden where it is not null.
  void run(const d4j_step& step);

 private:
  Buffer quantised_linear(const Buffer& x, const PackedMatrix& matrix, const float* bias, int rows) const;
  Buffer linear(const Buffer& x, d4j_slot weight, d4j_slot bias, int layer, int rows) const;
  Buffer norm(const Buffer& x, d4j_slot gain, d4j_slot bias, int layer, int rows, DType result) const;
  Buffer attention(const Buffer& normed, const RaggedBatch& batch, int layer);
  Buffer feed_forward(const Buffer& normed, int layer, int rows) const;
  void block(Buffer& x, const RaggedBatch& batch, int layer);

  d4j_decoder_spec spec_;
  DType compute_type_;
  DType kv_type_;
  std::map<std::pair<d4j_slot, int>, Buffer> weights_;
  std::map<std::pair<d4j_slot, int>, PackedMatrix> quantised_;
  std::vector<float> inverse_frequencies_;
  std::vector<Buffer> keys_;    // per layer
  std::vector<Buffer> values_;  // per layer
};

}  // namespace dolly4j::test
