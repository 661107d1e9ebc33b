// The whole step as a graph of libtorch ops: against the oracle, and what the rows of a step share must not show.
#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "libtorch_test.h"
#include "loaded_model.h"
#include "torch/libtorch.h"

namespace dolly4j::test {
namespace {

class LibtorchDecoder : public LibtorchTest {};

Conformance compare_with_oracle(DecoderTypes types, int cuda_device) {
  return check_decoder(
      [&](const d4j_decoder_spec& spec, DecoderTypes, const DecoderWeights& weights, int blocks) {
        const auto decoder =
            std::make_shared<ModelAndSession>(spec, libtorch_options(types, cuda_device), weights, blocks);
        return [decoder](const d4j_step& step) { decoder->session.run(step); };
      },
      cuda_device < 0 ? Device::cpu : Device::cuda, [&](const DecoderShape& shape) { return shape.types == types; });
}

TEST_F(LibtorchDecoder, stepsInFloat32AreTheOraclesOnTheCpu) {
  const Conformance result = compare_with_oracle(D4J_FLOAT32, -1);
  EXPECT_TRUE(result.passed()) << result;
}

TEST_F(LibtorchDecoder, stepsInBfloat16AreTheOraclesOnTheCpu) {
  const Conformance result = compare_with_oracle(D4J_BFLOAT16, -1);
  EXPECT_TRUE(result.passed()) << result;
}

TEST_F(LibtorchDecoder, stepsWithACacheOfTheOtherTypeAreTheOraclesOnTheCpu) {
  for (const DecoderTypes types : {DecoderTypes(D4J_BFLOAT16, D4J_FLOAT32), DecoderTypes(D4J_FLOAT32, D4J_BFLOAT16)}) {
    const Conformance result = compare_with_oracle(types, -1);
    EXPECT_TRUE(result.passed()) << result;
  }
}

TEST_F(LibtorchDecoder, stepsAreTheOraclesOnACudaDevice) {
  if (cuda_devices() == 0) {
    GTEST_SKIP() << "libtorch sees no CUDA device";
  }
  for (const DecoderTypes types :
       {DecoderTypes(D4J_FLOAT32), DecoderTypes(D4J_BFLOAT16), DecoderTypes(D4J_BFLOAT16, D4J_FLOAT32)}) {
    const Conformance result = compare_with_oracle(types, 0);
    EXPECT_TRUE(result.passed()) << result;
  }
}

// Decoders in which a mistake about rows would show in different places.
std::vector<d4j_decoder_spec> some_specs() {
  std::vector<d4j_decoder_spec> specs(3, small_decoder());
  specs[1].parallel_residual = 0;
  specs[1].shared_norm = 1;
  specs[2].heads = 1;
  specs[2].head_size = 60;
  specs[2].rotary_dims = 60;
  specs[2].tied_head = 1;
  return specs;
}

// Rows of `expected` from `first_row` on.
void expect_rows(const std::vector<float>& actual, const std::vector<float>& expected, int first_row, int vocab) {
  const std::int64_t first = std::int64_t{first_row} * vocab;
  ASSERT_LE(first + actual.size(), expected.size());
  double largest = 0;
  double worst = 0;
  for (std::size_t i = 0; i < actual.size(); i++) {
    ASSERT_FALSE(std::isnan(actual[i]));
    largest = std::max(largest, std::abs(static_cast<double>(expected[first + i])));
    worst = std::max(worst, std::abs(static_cast<double>(actual[i]) - static_cast<double>(expected[first + i])));
  }
  EXPECT_LE(worst, tolerance(Op::decoder_step, Device::cpu, DType::float32, DType::float32).of_magnitude * largest);
}

TEST_F(LibtorchDecoder, promptInChunksOnScatteredBlocksEqualsTheWholePromptOnNeighbours) {
  for (const d4j_decoder_spec& spec : some_specs()) {
    const LoadedModel model(spec, D4J_FLOAT32, random_decoder_weights(spec, 1));
    const Session whole(model);
    const Session chunked(model);
    const std::vector<std::int32_t> tokens = random_tokens(spec, 53, 2);
    const std::vector<float> expected = logits_of(whole, spec, {{{0, 1, 2, 3}, 0, tokens}});
    int done = 0;
    for (const int count : {1, 16, 7, 1, 20, 8}) {
      const std::vector<std::int32_t> chunk(tokens.begin() + done, tokens.begin() + done + count);
      expect_rows(logits_of(chunked, spec, {{{9, 2, 14, 5}, done, chunk}}), expected, done, spec.vocab_size);
      done += count;
    }
    ASSERT_EQ(done, 53);
  }
}

TEST_F(LibtorchDecoder, rowsOfARaggedBatchEqualTheirSequencesAlone) {
  for (const d4j_decoder_spec& spec : some_specs()) {
    const LoadedModel model(spec, D4J_FLOAT32, random_decoder_weights(spec, 1));
    const std::vector<SequenceStep> prefill{{{4, 3}, 0, random_tokens(spec, 19, 2)},
                                            {{7}, 0, random_tokens(spec, 1, 3)},
                                            {{1, 8, 2}, 0, random_tokens(spec, 33, 4)}};
    const std::vector<SequenceStep> next{{{4, 3}, 19, {17}}, {{7}, 1, {5, 6, 7}}, {{1, 8, 2}, 33, {99}}};
    const Session batched(model);
    const std::vector<float> first = logits_of(batched, spec, prefill);
    const std::vector<float> second = logits_of(batched, spec, next);
    int first_row = 0;
    int second_row = 0;
    for (std::size_t s = 0; s < prefill.size(); s++) {
      const Session alone(model);
      expect_rows(logits_of(alone, spec, {prefill[s]}), first, first_row, spec.vocab_size);
      expect_rows(logits_of(alone, spec, {next[s]}), second, second_row, spec.vocab_size);
      first_row += static_cast<int>(prefill[s].tokens.size());
      second_row += static_cast<int>(next[s].tokens.size());
    }
  }
}

TEST_F(LibtorchDecoder, stepLeavesTheThreadsGradientModeAsItWas) {
  const d4j_decoder_spec spec = small_decoder();
  const LoadedModel model(spec, D4J_FLOAT32, random_decoder_weights(spec, 1));
  const Session session(model);
  for (const bool enabled : {false, true}) {
    libtorch().aoti_torch_grad_mode_set_enabled(enabled);
    logits_of(session, spec, {{{0}, 0, {1, 2, 3}}});
    EXPECT_EQ(libtorch().aoti_torch_grad_mode_is_enabled(), enabled);
  }
}

}  // namespace
}  // namespace dolly4j::test
