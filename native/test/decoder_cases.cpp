#include "decoder_cases.h"

#include <algorithm>
#include <cmath>

#include "comparison.h"
#include "random.h"

namespace dolly4j::test {
namespace {

d4j_decoder_spec with_heads(int heads, int head_size, int rotary_dims) {
  d4j_decoder_spec spec = small_decoder();
  spec.heads = heads;
  spec.head_size = head_size;
  spec.hidden_size = heads * head_size;
  spec.rotary_dims = rotary_dims;
  spec.layers = spec.hidden_size > 80 ? 1 : 2;  // the oracle is slow
  return spec;
}

std::vector<std::pair<std::string, d4j_decoder_spec>> named_specs() {
  std::vector<std::pair<std::string, d4j_decoder_spec>> specs = {
      {"neox", small_decoder()},
      {"neox, heads of 16", with_heads(4, 16, 4)},
      {"neox, heads of 32", with_heads(2, 32, 8)},
      {"neox, heads of 80", with_heads(1, 80, 20)},
      {"neox, heads of 96, all rotated", with_heads(1, 96, 96)},
      {"neox, heads of 128", with_heads(1, 128, 32)},
      {"neox, heads of 256", with_heads(1, 256, 64)},
      {"neox, nothing rotated", with_heads(3, 20, 0)},
  };

  d4j_decoder_spec spec = with_heads(3, 24, 6);
  spec.parallel_residual = 0;
  specs.emplace_back("neox, sequential", spec);

  spec = with_heads(1, 64, 32);
  spec.activation = D4J_GELU_TANH;
  specs.emplace_back("neox, tanh", spec);

  spec = small_decoder();
  spec.attention_bias = 0;
  spec.ffn_bias = 0;
  specs.emplace_back("neox, no biases", spec);

  spec = small_decoder();
  spec.tied_head = 1;
  specs.emplace_back("neox, tied", spec);

  spec = with_heads(3, 24, 16);
  spec.activation = D4J_GELU_TANH;
  spec.shared_norm = 1;
  spec.attention_bias = 0;
  spec.head_bias = 1;
  specs.emplace_back("gptj", spec);

  spec.parallel_residual = 0;
  spec.tied_head = 1;
  specs.emplace_back("shared norm, sequential, tied with a bias", spec);
  return specs;
}

// Three steps of up to four sequences: prompts; single tokens beside a chunk and a new prompt; single tokens.
std::vector<std::vector<SequenceStep>> schedule(const d4j_decoder_spec& spec, std::uint64_t seed) {
  const std::vector<int> blocks = Random(seed).permutation(12);
  const std::vector<std::int32_t> a = {blocks[0], blocks[1]};
  const std::vector<std::int32_t> b = {blocks[2], blocks[3], blocks[4]};
  const std::vector<std::int32_t> c = {blocks[5], blocks[6], blocks[7]};
  const std::vector<std::int32_t> d = {blocks[8]};
  const auto tokens = [&](int count) { return random_tokens(spec, count, ++seed); };
  return {
      {{a, 0, tokens(19)}, {b, 0, tokens(1)}, {c, 0, tokens(31)}},
      {{c, 31, tokens(1)}, {b, 1, tokens(39)}, {a, 19, tokens(1)}, {d, 0, tokens(5)}},
      {{a, 20, tokens(1)}, {d, 5, tokens(1)}, {c, 32, tokens(1)}, {b, 40, tokens(1)}},
  };
}

}  // namespace

d4j_decoder_spec small_decoder() {
  d4j_decoder_spec spec{};
  spec.layers = 2;
  spec.hidden_size = 60;
  spec.heads = 3;
  spec.head_size = 20;
  spec.ffn_size = 250;
  spec.vocab_size = 331;
  spec.context_length = 96;
  spec.rotary_dims = 10;
  spec.rotary_base = 10000;
  spec.norm_epsilon = 1e-5;
  spec.activation = D4J_GELU_ERF;
  spec.parallel_residual = 1;
  spec.attention_bias = 1;
  spec.ffn_bias = 1;
  return spec;
}

std::string name_of(DecoderTypes types) {
  constexpr const char* kNames[] = {"float32", "bfloat16", "float16", "int8", "int4"};
  const std::string name = kNames[types.weights];
  return types == DecoderTypes(types.weights) ? name : name + " with a " + kNames[types.kv] + " cache";
}

std::string describe(const DecoderShape& shape) { return shape.name + ", " + name_of(shape.types); }

std::vector<DecoderShape> decoder_shapes() {
  std::vector<DecoderShape> shapes;
  for (const auto& [name, spec] : named_specs()) {
    for (const d4j_dtype type : {D4J_FLOAT32, D4J_BFLOAT16, D4J_INT8, D4J_INT4}) {
      shapes.push_back({name, spec, type});
    }
    if (spec.layers > 1) {
      shapes.push_back({name, spec, {D4J_BFLOAT16, D4J_FLOAT32}});
      shapes.push_back({name, spec, {D4J_FLOAT32, D4J_BFLOAT16}});
    }
  }
  return shapes;
}

OwnedStep::OwnedStep(const d4j_decoder_spec& spec, const std::vector<SequenceStep>& sequences, bool all_logits) {
  std::size_t stride = 0;
  for (const SequenceStep& sequence : sequences) {
    stride = std::max(stride, sequence.blocks.size());
  }
  starts_.push_back(0);
  for (const SequenceStep& sequence : sequences) {
    int position = sequence.cached;
    for (std::int32_t token : sequence.tokens) {
      const auto row = static_cast<std::int32_t>(tokens_.size());
      tokens_.push_back(token);
      positions_.push_back(position++);
      if (all_logits || row % 3 == 0) {
        wanted_.push_back(row);
      }
    }
    starts_.push_back(static_cast<std::int32_t>(tokens_.size()));
    contexts_.push_back(position);
    tables_.insert(tables_.end(), sequence.blocks.begin(), sequence.blocks.end());
    tables_.resize(contexts_.size() * stride, -1);
  }
  logits_.assign(wanted_.size() * spec.vocab_size, std::nanf(""));
  hidden_.assign(tokens_.size() * spec.hidden_size * (spec.layers + 2), std::nanf(""));
  step_.rows = static_cast<std::int32_t>(tokens_.size());
  step_.sequences = static_cast<std::int32_t>(sequences.size());
  step_.block_table_stride = static_cast<std::int32_t>(stride);
  step_.logits_count = static_cast<std::int32_t>(wanted_.size());
  step_.tokens = tokens_.data();
  step_.positions = positions_.data();
  step_.sequence_starts = starts_.data();
  step_.context_lengths = contexts_.data();
  step_.block_tables = tables_.data();
  step_.logits_rows = wanted_.data();
  step_.logits = logits_.data();
  step_.hidden = hidden_.data();
}

std::vector<std::int32_t> random_tokens(const d4j_decoder_spec& spec, int count, std::uint64_t seed) {
  Random random(seed);
  std::vector<std::int32_t> tokens;
  for (int i = 0; i < count; i++) {
    tokens.push_back(random.below(spec.vocab_size));
  }
  return tokens;
}

Conformance check_decoder(const DecoderFactory& factory, Device device, const Supports<DecoderShape>& supports) {
  constexpr int kBlocks = 12;
  Comparison comparison;
  // magnitude: the largest number of the tensor.
  const auto compare = [&](const std::string& what, const std::vector<float>& actual,
                           const std::vector<float>& expected, DecoderTypes types) {
    double largest = 0;
    for (float number : expected) {
      largest = std::max(largest, magnitude(number));
    }
    const bool is_exact = types == DecoderTypes(D4J_FLOAT32);
    const bool is_quantised = types.weights == D4J_INT8 || types.weights == D4J_INT4;
    const Tolerance allowed = tolerance(is_quantised ? Op::quantised_decoder_step : Op::decoder_step, device,
                                        is_exact ? DType::float32 : DType::bfloat16, DType::float32);
    const auto scale_of = [&](std::int64_t) { return Scale{largest, 0}; };
    comparison.compare(what.c_str(), Buffer(actual, DType::float32), Buffer(expected, DType::float32), allowed,
                       scale_of);
  };
  return comparison.over(decoder_shapes(), supports, [&](const DecoderShape& shape, std::uint64_t seed) {
    const d4j_decoder_spec& spec = shape.spec;
    const DecoderWeights weights = random_decoder_weights(spec, seed);
    DecoderStepOracle oracle(spec, shape.types, weights, kBlocks);
    const StepFunction implementation = factory(spec, shape.types, weights, kBlocks);
    int number = 0;
    for (const std::vector<SequenceStep>& sequences : schedule(spec, seed)) {
      const std::string place = "step " + std::to_string(number++) + ", ";
      const bool all_logits = number == 1;
      const OwnedStep expected(spec, sequences, all_logits);
      const OwnedStep actual(spec, sequences, all_logits);
      oracle.run(expected.step());
      implementation(actual.step());
      const std::int64_t size = std::int64_t{expected.step().rows} * spec.hidden_size;
      for (int i = 0; i < spec.layers + 2; i++) {
        const auto part = [&](const std::vector<float>& hidden) {
          return std::vector<float>(hidden.begin() + i * size, hidden.begin() + (i + 1) * size);
        };
        const std::string what = place + "hidden state " + std::to_string(i);
        compare(what, part(actual.hidden()), part(expected.hidden()), shape.types);
        if (i > 0) {  // the embedding holds numbers as the table has them
          comparison.compare_precision(what.c_str(), part(actual.hidden()));
        }
      }
      compare(place + "logits", actual.logits(), expected.logits(), shape.types);
    }
  });
}

}  // namespace dolly4j::test
