#include "decoder_step_oracle.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "decoder_cases.h"

namespace dolly4j::test {
namespace {

constexpr int kBlocks = 12;

std::vector<float> logits_of(const DecoderShape& shape, const std::vector<SequenceStep>& sequences) {
  DecoderStepOracle oracle(shape.spec, shape.types, random_decoder_weights(shape.spec, 1), kBlocks);
  const OwnedStep step(shape.spec, sequences);
  oracle.run(step.step());
  return step.logits();
}

// A decoder as a plain program in float64: one prompt, no cache, no blocks, nothing of the ops.
class PlainDecoder {
 public:
  PlainDecoder(const d4j_decoder_spec& spec, const DecoderWeights& weights) : spec_(spec), weights_(weights) {}

  using Row = std::vector<double>;
  using Rows = std::vector<Row>;

  Rows logits(const std::vector<std::int32_t>& tokens) const {
    Rows x;
    for (std::int32_t token : tokens) {
      const auto row = weights_.at({D4J_EMBEDDING, 0}).begin() + std::int64_t{token} * spec_.hidden_size;
      x.emplace_back(row, row + spec_.hidden_size);
    }
    for (int layer = 0; layer < spec_.layers; layer++) {
      const Rows attended = attention(norms(x, D4J_ATTENTION_NORM_WEIGHT, layer), layer);
      if (spec_.parallel_residual != 0) {
        x = sum(sum(x, attended), feed_forward(x, layer));
      } else {
        x = sum(x, attended);
        x = sum(x, feed_forward(x, layer));
      }
    }
    const d4j_slot head = spec_.tied_head != 0 ? D4J_EMBEDDING : D4J_HEAD_WEIGHT;
    return linear(norms(x, D4J_FINAL_NORM_WEIGHT, 0), head, D4J_HEAD_BIAS, 0);
  }

 private:
  static Rows sum(const Rows& a, const Rows& b) {
    Rows result = a;
    for (std::size_t t = 0; t < a.size(); t++) {
      for (std::size_t i = 0; i < a[t].size(); i++) {
        result[t][i] += b[t][i];
      }
    }
    return result;
  }

  // The bias of a norm is the slot after its gain.
  Rows norms(const Rows& x, d4j_slot gain, int layer) const {
    const std::vector<float>& gains = weights_.at({gain, layer});
    const std::vector<float>& biases = weights_.at({static_cast<d4j_slot>(gain + 1), layer});
    Rows result = x;
    for (Row& row : result) {
      double mean = 0;
      double mean_square = 0;
      for (double number : row) {
        mean += number / spec_.hidden_size;
        mean_square += number * number / spec_.hidden_size;
      }
      for (int i = 0; i < spec_.hidden_size; i++) {
        row[i] = (row[i] - mean) / std::sqrt(mean_square - mean * mean + spec_.norm_epsilon) * gains[i] + biases[i];
      }
    }
    return result;
  }

  Rows linear(const Rows& x, d4j_slot slot, d4j_slot bias, int layer) const {
    const std::vector<float>& weight = weights_.at({slot, layer});
    const std::size_t inputs = x[0].size();
    Rows result(x.size(), Row(weight.size() / inputs, 0));
    for (std::size_t t = 0; t < x.size(); t++) {
      for (std::size_t i = 0; i < weight.size(); i++) {
        result[t][i / inputs] += weight[i] * x[t][i % inputs];
      }
      for (std::size_t n = 0; weights_.count({bias, layer}) != 0 && n < result[t].size(); n++) {
        result[t][n] += weights_.at({bias, layer})[n];
      }
    }
    return result;
  }

  Rows feed_forward(const Rows& x, int layer) const {
    const d4j_slot gain = spec_.shared_norm != 0 ? D4J_ATTENTION_NORM_WEIGHT : D4J_FFN_NORM_WEIGHT;
    Rows inner = linear(norms(x, gain, layer), D4J_FC1_WEIGHT, D4J_FC1_BIAS, layer);
    for (Row& row : inner) {
      for (double& number : row) {
        const double z = number;
        number = spec_.activation == D4J_GELU_ERF
                     ? z * 0.5 * (1 + std::erf(z * 0.7071067811865476))
                     : z / (1 + std::exp(-2 * 0.7978845608028654 * (z + 0.044715 * z * z * z)));
      }
    }
    return linear(inner, D4J_FC2_WEIGHT, D4J_FC2_BIAS, layer);
  }

  // Element i of the first rotary_dims of a head, rotated for its position.
  double rotated(const Row& qkv, std::size_t head, int position, int i) const {
    const int half = spec_.rotary_dims / 2;
    if (i >= spec_.rotary_dims) {
      return qkv[head + i];
    }
    const double angle = position / std::pow(spec_.rotary_base, 2.0 * (i % half) / spec_.rotary_dims);
    const double partner = i < half ? -qkv[head + i + half] : qkv[head + i - half];
    return qkv[head + i] * std::cos(angle) + partner * std::sin(angle);
  }

  Rows attention(const Rows& x, int layer) const {
    const Rows qkv = linear(x, D4J_QKV_WEIGHT, D4J_QKV_BIAS, layer);
    Rows result(x.size(), Row(spec_.hidden_size, 0));
    for (std::size_t t = 0; t < x.size(); t++) {
      for (int h = 0; h < spec_.heads; h++) {
        const std::size_t head = std::size_t(h) * spec_.head_size;
        double total = 0;
        for (std::size_t j = 0; j <= t; j++) {
          double score = 0;
          for (int i = 0; i < spec_.head_size; i++) {
            score += rotated(qkv[t], head, static_cast<int>(t), i) *
                     rotated(qkv[j], head + spec_.hidden_size, static_cast<int>(j), i);
          }
          const double weight = std::exp(score / std::sqrt(1.0 * spec_.head_size));
          total += weight;
          for (int i = 0; i < spec_.head_size; i++) {
            result[t][head + i] += weight * qkv[j][head + 2 * std::size_t(spec_.hidden_size) + i];
          }
        }
        for (int i = 0; i < spec_.head_size; i++) {
          result[t][head + i] /= total;
        }
      }
    }
    return linear(result, D4J_DENSE_WEIGHT, D4J_DENSE_BIAS, layer);
  }

  const d4j_decoder_spec& spec_;
  const DecoderWeights& weights_;
};

TEST(DecoderStepOracle, inFloat32IsAPlainDecoder) {
  for (const DecoderShape& shape : decoder_shapes()) {
    if (!(shape.types == D4J_FLOAT32)) {
      continue;
    }
    const std::vector<std::int32_t> tokens = random_tokens(shape.spec, 37, 2);
    const std::vector<float> actual = logits_of(shape, {{{3, 9, 0}, 0, tokens}});
    const DecoderWeights weights = random_decoder_weights(shape.spec, 1);
    const PlainDecoder::Rows expected = PlainDecoder(shape.spec, weights).logits(tokens);
    double worst = 0;
    for (std::size_t i = 0; i < actual.size(); i++) {
      worst = std::max(worst, std::abs(actual[i] - expected[i / shape.spec.vocab_size][i % shape.spec.vocab_size]));
    }
    EXPECT_LT(worst, 1e-5) << describe(shape);
  }
}

TEST(DecoderStepOracle, withoutBlocksLogitsAreTheHeadOfTheNormalisedEmbedding) {
  DecoderShape shape{"", small_decoder(), D4J_FLOAT32};
  shape.spec.vocab_size = 2;
  shape.spec.hidden_size = 2;
  shape.spec.heads = 1;
  shape.spec.head_size = 2;
  shape.spec.rotary_dims = 2;
  shape.spec.norm_epsilon = 0;
  shape.spec.head_bias = 1;
  for (int tied : {0, 1}) {
    shape.spec.tied_head = tied;
    DecoderWeights weights = random_decoder_weights(shape.spec, 3);
    for (auto& [slot, values] : weights) {
      std::fill(values.begin(), values.end(), 0.0F);
    }
    weights[{D4J_EMBEDDING, 0}] = {1, 5, 8, 2};
    weights[{D4J_FINAL_NORM_WEIGHT, 0}] = {1, 10};
    weights[{D4J_FINAL_NORM_BIAS, 0}] = {0.5F, 0};
    weights[{D4J_HEAD_WEIGHT, 0}] = {1, 0, 0, 1};
    weights[{D4J_HEAD_BIAS, 0}] = {0, 100};
    DecoderStepOracle oracle(shape.spec, shape.types, weights, kBlocks);
    const OwnedStep step(shape.spec, {{{0}, 0, {0, 1}}});
    oracle.run(step.step());
    // (1, 5) is normalised to (-1, 1) and gains make it (-0.5, 10); (8, 2) becomes (1.5, -10).
    const std::vector<float> expected =
        tied == 0 ? std::vector<float>{-0.5F, 110, 1.5F, 90} : std::vector<float>{49.5F, 116, -48.5F, 92};
    EXPECT_EQ(step.logits(), expected) << tied;
  }
}

TEST(DecoderStepOracle, cachedStepsBatchesAndBlocksChangeNoBit) {
  for (const DecoderShape& shape : decoder_shapes()) {
    const std::vector<std::int32_t> tokens = random_tokens(shape.spec, 40, 4);
    const std::vector<std::int32_t> others = random_tokens(shape.spec, 9, 5);
    const std::vector<float> whole = logits_of(shape, {{{0, 1, 2}, 0, tokens}});

    DecoderStepOracle chunked(shape.spec, shape.types, random_decoder_weights(shape.spec, 1), kBlocks);
    int done = 0;
    for (int count : {7, 1, 1, 15, 16}) {
      const std::vector<std::int32_t> chunk(tokens.begin() + done, tokens.begin() + done + count);
      // Beside another sequence, which starts anew at every step.
      const OwnedStep step(shape.spec, {{{7}, 0, others}, {{10, 4, 8}, done, chunk}});
      chunked.run(step.step());
      const std::vector<float> rows(step.logits().begin() + 9 * shape.spec.vocab_size, step.logits().end());
      const auto from = whole.begin() + std::int64_t{done} * shape.spec.vocab_size;
      ASSERT_EQ(rows, std::vector<float>(from, from + std::int64_t{count} * shape.spec.vocab_size))
          << describe(shape) << ", " << count << " tokens after " << done;
      done += count;
    }
    ASSERT_EQ(done, 40);
  }
}

TEST(DecoderStepOracle, hiddenStatesBeginWithTheEmbeddingAndEndWithANormedRow) {
  const d4j_decoder_spec spec = small_decoder();
  DecoderWeights weights = random_decoder_weights(spec, 6);
  weights[{D4J_FINAL_NORM_WEIGHT, 0}].assign(60, 1);
  weights[{D4J_FINAL_NORM_BIAS, 0}].assign(60, 0);
  DecoderStepOracle oracle(spec, D4J_FLOAT32, weights, kBlocks);
  const OwnedStep step(spec, {{{0}, 0, {330, 7}}});
  oracle.run(step.step());
  ASSERT_EQ(step.hidden().size(), 4U * 2 * 60);
  const auto embedding = weights[{D4J_EMBEDDING, 0}].begin();
  EXPECT_TRUE(std::equal(embedding + 330 * 60, embedding + 331 * 60, step.hidden().begin()));
  EXPECT_TRUE(std::equal(embedding + 7 * 60, embedding + 8 * 60, step.hidden().begin() + 60));
  double squares = 0;
  for (auto i = step.hidden().end() - 60; i != step.hidden().end(); ++i) {
    squares += static_cast<double>(*i) * static_cast<double>(*i);
  }
  EXPECT_NEAR(squares, 60, 0.01);
}

TEST(DecoderStepOracle, bfloat16IsNearFloat32AndReadsWeightsRoundedToBfloat16) {
  for (const DecoderShape& shape : decoder_shapes()) {
    if (!(shape.types == D4J_BFLOAT16)) {
      continue;
    }
    const std::vector<SequenceStep> prompt = {{{0, 1, 2}, 0, random_tokens(shape.spec, 33, 7)}};
    const OwnedStep rounded(shape.spec, prompt);
    const OwnedStep from_rounded_weights(shape.spec, prompt);
    DecoderWeights weights = random_decoder_weights(shape.spec, 8);
    DecoderStepOracle(shape.spec, D4J_BFLOAT16, weights, kBlocks).run(rounded.step());
    for (auto& [slot, values] : weights) {
      const bool norm = slot.first == D4J_ATTENTION_NORM_WEIGHT || slot.first == D4J_ATTENTION_NORM_BIAS ||
                        slot.first == D4J_FFN_NORM_WEIGHT || slot.first == D4J_FFN_NORM_BIAS ||
                        slot.first == D4J_FINAL_NORM_WEIGHT || slot.first == D4J_FINAL_NORM_BIAS;
      values = norm ? values : Buffer(values, DType::bfloat16).floats();
    }
    DecoderStepOracle(shape.spec, D4J_BFLOAT16, weights, kBlocks).run(from_rounded_weights.step());
    EXPECT_EQ(rounded.logits(), from_rounded_weights.logits()) << describe(shape);

    const OwnedStep exact(shape.spec, prompt);
    DecoderStepOracle(shape.spec, D4J_FLOAT32, weights, kBlocks).run(exact.step());
    double worst = 0;
    for (std::size_t i = 0; i < exact.logits().size(); i++) {
      worst = std::max(worst, std::abs(static_cast<double>(rounded.logits()[i]) - exact.logits()[i]));
    }
    EXPECT_GT(worst, 1e-3) << describe(shape);
    EXPECT_LT(worst, 0.2) << describe(shape);
  }
}

// The oracle as an implementation, of a decoder whose spec or weights were changed: in float32, as in bfloat16 a small
// change hides in the rounding; of two layers.
Conformance check_changed(const std::function<void(d4j_decoder_spec&, DecoderWeights&)>& change) {
  return check_decoder(
      [&](const d4j_decoder_spec& spec, DecoderTypes types, const DecoderWeights& weights, int blocks) {
        d4j_decoder_spec changed_spec = spec;
        DecoderWeights changed_weights = weights;
        change(changed_spec, changed_weights);
        const auto oracle = std::make_shared<DecoderStepOracle>(changed_spec, types, changed_weights, blocks);
        return [oracle](const d4j_step& step) { oracle->run(step); };
      },
      Device::cpu, [](const DecoderShape& shape) { return shape.types == D4J_FLOAT32 && shape.spec.layers == 2; });
}

// Every case whose spec has the trait must see its change.
void expect_rejected(const Conformance& result, int without_the_trait = 0) {
  EXPECT_GE(static_cast<int>(result.failures.size()), result.cases - without_the_trait) << result;
}

TEST(DecoderCases, oracleFitsTheCases) {
  const Conformance result = check_changed([](d4j_decoder_spec&, DecoderWeights&) {});
  EXPECT_TRUE(result.passed()) << result;
}

TEST(DecoderCases, acceptWeightsInFloat32OffByTheirRoundingOnly) {
  const Conformance result = check_changed([](d4j_decoder_spec&, DecoderWeights& weights) {
    for (auto& [slot, values] : weights) {
      for (std::size_t i = 0; slot.first != D4J_EMBEDDING && i < values.size(); i++) {
        values[i] *= i % 2 == 0 ? 1 + 0x1p-23F : 1 - 0x1p-24F;
      }
    }
  });
  EXPECT_TRUE(result.passed()) << result;
}

TEST(DecoderCases, rejectTheOtherGelu) {
  const Conformance result = check_changed([](d4j_decoder_spec& spec, DecoderWeights&) {
    spec.activation = spec.activation == D4J_GELU_ERF ? D4J_GELU_TANH : D4J_GELU_ERF;
  });
  expect_rejected(result);
}

TEST(DecoderCases, rejectTheOtherResidual) {
  const Conformance result = check_changed(
      [](d4j_decoder_spec& spec, DecoderWeights&) { spec.parallel_residual = 1 - spec.parallel_residual; });
  expect_rejected(result);
}

TEST(DecoderCases, rejectAnotherRotaryBase) {
  const Conformance result = check_changed([](d4j_decoder_spec& spec, DecoderWeights&) { spec.rotary_base = 11000; });
  expect_rejected(result, 1);
}

TEST(DecoderCases, rejectAnotherEpsilon) {
  const Conformance result = check_changed([](d4j_decoder_spec& spec, DecoderWeights&) { spec.norm_epsilon = 1e-3; });
  expect_rejected(result);
}

TEST(DecoderCases, rejectABiasOfOneLayerTakenForTheOthers) {
  const Conformance result = check_changed([](d4j_decoder_spec& spec, DecoderWeights& weights) {
    if (spec.ffn_bias != 0) {
      std::swap(weights[{D4J_FC2_BIAS, 0}], weights[{D4J_FC2_BIAS, 1}]);
    }
  });
  expect_rejected(result, 1);
}

TEST(DecoderCases, rejectAResidualStreamInBfloat16) {
  const Conformance result = check_decoder(
      [](const d4j_decoder_spec& spec, DecoderTypes types, const DecoderWeights& weights, int blocks) {
        const auto oracle = std::make_shared<DecoderStepOracle>(spec, types, weights, blocks);
        return [oracle, spec](const d4j_step& step) {
          oracle->run(step);
          const std::int64_t size = std::int64_t{step.rows} * spec.hidden_size;
          std::transform(step.hidden + size, step.hidden + (spec.layers + 1) * size, step.hidden + size,
                         [](float number) { return to_float(to_bfloat16(number)); });
        };
      },
      Device::cpu, [](const DecoderShape& shape) { return shape.types == D4J_BFLOAT16 && shape.spec.layers == 2; });
  expect_rejected(result);
}

}  // namespace
}  // namespace dolly4j::test
