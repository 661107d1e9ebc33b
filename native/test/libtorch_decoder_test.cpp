// The libtorch graph as a decoder: what the rows of a step share must not show in their results.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <vector>

#include "random_model.h"

namespace dolly4j::test {
namespace {

class LibtorchDecoderTest : public testing::TestWithParam<d4j_decoder_spec> {
 protected:
  void SetUp() override {
    if (libtorch_directory() == nullptr) {
      GTEST_SKIP() << "DOLLY4J_TEST_LIBTORCH does not name a folder with libtorch";
    }
    ASSERT_EQ(d4j_libtorch_attach(libtorch_directory()), D4J_OK) << d4j_last_error();
  }
};

std::vector<std::int32_t> tokens_of(int count, int seed, int vocab) {
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) {
    tokens[static_cast<std::size_t>(i)] = (i * 37 + seed * 11 + 5) % vocab;
  }
  return tokens;
}

void expect_near(const float* actual, const float* expected, std::size_t count, float tolerance) {
  float worst = 0;
  for (std::size_t i = 0; i < count; ++i) {
    ASSERT_FALSE(std::isnan(actual[i]));
    worst = std::max(worst, std::abs(actual[i] - expected[i]));
  }
  EXPECT_LE(worst, tolerance);
}

TEST_P(LibtorchDecoderTest, APromptInChunksOnScatteredBlocksEqualsTheWholePrompt) {
  const RandomModel model(GetParam());
  const Session whole(model);
  const Session chunked(model);
  const auto vocab = static_cast<std::size_t>(model.spec().vocab_size);
  const std::vector<std::int32_t> tokens = tokens_of(53, 1, model.spec().vocab_size);
  const std::vector<float> expected = whole.run(model.spec(), {{tokens, 0, {0, 1, 2, 3}}});

  const std::vector<std::int32_t> blocks{9, 2, 14, 5};
  std::int32_t done = 0;
  for (const std::int32_t count : {1, 16, 7, 1, 20, 8}) {
    const Slice slice{{tokens.begin() + done, tokens.begin() + done + count}, done, blocks};
    const std::vector<float> logits = chunked.run(model.spec(), {slice});
    expect_near(logits.data(), expected.data() + static_cast<std::size_t>(done) * vocab, logits.size(), 2e-5F);
    done += count;
  }
  ASSERT_EQ(done, 53);
}

TEST_P(LibtorchDecoderTest, RowsOfARaggedBatchEqualTheirSequencesAlone) {
  const RandomModel model(GetParam());
  const auto vocab = static_cast<std::size_t>(model.spec().vocab_size);
  std::vector<Slice> prefill{{tokens_of(19, 2, model.spec().vocab_size), 0, {4, 3}},
                             {tokens_of(1, 3, model.spec().vocab_size), 0, {7}},
                             {tokens_of(33, 4, model.spec().vocab_size), 0, {1, 8, 2}}};
  std::vector<Slice> next{{{17}, 19, {4, 3}}, {{5, 6, 7}, 1, {7}}, {{99}, 33, {1, 8, 2}}};
  const Session batched(model);
  const std::vector<float> first = batched.run(model.spec(), prefill);
  const std::vector<float> second = batched.run(model.spec(), next);
  std::size_t first_row = 0;
  std::size_t second_row = 0;
  for (std::size_t s = 0; s < prefill.size(); ++s) {
    const Session alone(model);
    const std::vector<float> a = alone.run(model.spec(), {prefill[s]});
    const std::vector<float> b = alone.run(model.spec(), {next[s]});
    expect_near(first.data() + first_row * vocab, a.data(), a.size(), 2e-5F);
    expect_near(second.data() + second_row * vocab, b.data(), b.size(), 2e-5F);
    first_row += prefill[s].tokens.size();
    second_row += next[s].tokens.size();
  }
}

TEST_P(LibtorchDecoderTest, ACopiedBlockContinuesASequenceAsTheOriginalDoes) {
  const RandomModel model(GetParam());
  const Session session(model);
  const std::vector<std::int32_t> tokens = tokens_of(20, 5, model.spec().vocab_size);
  session.run(model.spec(), {{tokens, 0, {0, 1}}});
  ASSERT_EQ(d4j_session_copy_block(session.get(), 1, 6), D4J_OK);
  const std::vector<float> original = session.run(model.spec(), {{{3}, 20, {0, 1}}});
  session.run(model.spec(), {{{4}, 20, {0, 1}}});  // overwrites the original's slot, not the copy's
  const std::vector<float> copy = session.run(model.spec(), {{{3, 8}, 20, {0, 6}}});
  expect_near(copy.data(), original.data(), original.size(), 2e-5F);
}

TEST_P(LibtorchDecoderTest, BFloat16StaysCloseToFloat32) {
  const RandomModel exact(GetParam());
  const RandomModel rounded(GetParam(), D4J_BFLOAT16);
  const Session exact_session(exact);
  const Session rounded_session(rounded);
  const Slice slice{tokens_of(40, 6, exact.spec().vocab_size), 0, {0, 1, 2}};
  const std::vector<float> a = exact_session.run(exact.spec(), {slice});
  const std::vector<float> b = rounded_session.run(rounded.spec(), {slice});
  expect_near(b.data(), a.data(), a.size(), 0.15F);
  EXPECT_NE(a, b);
}

TEST_P(LibtorchDecoderTest, AnAbortEndsOneStepOnly) {
  const RandomModel model(GetParam());
  const Session session(model);
  StepInput input(model.spec(), {{{1, 2, 3}, 0, {0}}});
  d4j_session_abort(session.get());
  EXPECT_EQ(d4j_session_step(session.get(), &input.step()), D4J_ABORTED);
  EXPECT_EQ(d4j_session_step(session.get(), &input.step()), D4J_OK) << d4j_last_error();
}

std::vector<d4j_decoder_spec> variants() {
  std::vector<d4j_decoder_spec> specs(7, small_spec());
  specs[1].parallel_residual = 0;
  specs[2].attention_bias = 0;
  specs[2].activation = D4J_GELU_TANH;
  specs[3].tied_head = 1;
  specs[3].rotary_dims = 20;
  specs[4].shared_norm = 1;
  specs[4].head_bias = 1;
  specs[4].attention_bias = 0;
  specs[5].heads = 1;
  specs[5].head_size = 256;
  specs[5].hidden_size = 256;
  specs[5].rotary_dims = 64;
  specs[6].heads = 2;
  specs[6].head_size = 80;
  specs[6].hidden_size = 160;
  specs[6].rotary_dims = 0;
  specs[6].ffn_bias = 0;
  return specs;
}

INSTANTIATE_TEST_SUITE_P(Variants, LibtorchDecoderTest, testing::ValuesIn(variants()),
                         [](const testing::TestParamInfo<d4j_decoder_spec>& variant) {
                           return "variant" + std::to_string(variant.index);
                         });

}  // namespace
}  // namespace dolly4j::test
