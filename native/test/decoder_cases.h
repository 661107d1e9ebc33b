// Decoders and schedules of steps for whoever implements d4j_session_step, and their comparison with the oracle.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "conformance.h"
#include "decoder_step_oracle.h"

namespace dolly4j::test {

// A small decoder of odd sizes: 2 blocks, 3 heads of 20, vocabulary 331, GPT-NeoX with everything on.
d4j_decoder_spec small_decoder();

struct DecoderShape {
  std::string name;
  d4j_decoder_spec spec;
  DecoderTypes types;
};
std::string describe(const DecoderShape& shape);
// "bfloat16", "float32 with a bfloat16 cache".
std::string name_of(DecoderTypes types);

// Both families, every trait of a spec on and off, head sizes 16 to 256, in float32, bfloat16, int8 and int4; some of
// them with a KV cache of the other type.
std::vector<DecoderShape> decoder_shapes();

// One sequence of a step.
struct SequenceStep {
  std::vector<std::int32_t> blocks;  // block table, enough for cached and new tokens
  int cached;
  std::vector<std::int32_t> tokens;  // new ones
};

// Owns the arrays of a d4j_step; logits and hidden states are NaN until it has run.
class OwnedStep {
 public:
  // Every row wants logits, or every third one only.
  OwnedStep(const d4j_decoder_spec& spec, const std::vector<SequenceStep>& sequences, bool all_logits = true);
  OwnedStep(const OwnedStep&) = delete;
  OwnedStep& operator=(const OwnedStep&) = delete;

  const d4j_step& step() const { return step_; }
  const std::vector<float>& logits() const { return logits_; }  // [logits_count, vocab]
  const std::vector<float>& hidden() const { return hidden_; }  // [layers + 2, rows, hidden]

 private:
  std::vector<std::int32_t> tokens_, positions_, starts_, contexts_, tables_, wanted_;
  std::vector<float> logits_, hidden_;
  d4j_step step_{};
};

// Random tokens below the vocabulary.
std::vector<std::int32_t> random_tokens(const d4j_decoder_spec& spec, int count, std::uint64_t seed);

// Makes a decoder with these weights and a KV cache of so many blocks, and returns what runs its steps.
using StepFunction = std::function<void(const d4j_step&)>;
using DecoderFactory = std::function<StepFunction(const d4j_decoder_spec& spec, DecoderTypes types,
                                                  const DecoderWeights& weights, int blocks)>;

// Runs prompts, chunks and single tokens of several sequences in shared steps, and compares logits and every hidden
// state with the oracle's; steps have at most 64 rows, contexts 96 tokens.
Conformance check_decoder(const DecoderFactory& factory, Device device,
                          const Supports<DecoderShape>& supports = nullptr);

}  // namespace dolly4j::test
