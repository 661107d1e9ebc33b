// The whole step as a graph of libtorch ops: against the oracle, and what the rows of a step share must not show.
#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <memory>
#include <thread>
#include <vector>

#include "libtorch_test.h"
#include "loaded_model.h"
#include "torch/libtorch.h"

#if defined(__SANITIZE_ADDRESS__)
extern "C" std::size_t __sanitizer_get_current_allocated_bytes();
#endif

namespace dolly4j::test {
namespace {

class LibtorchDecoder : public LibtorchTest {};

struct ModelAndSession {
  LoadedModel model;
  Session session;

  ModelAndSession(const d4j_decoder_spec& spec, DecoderTypes types, const DecoderWeights& weights, int blocks,
                  int cuda_device)
      : model(spec, types, weights, cuda_device), session(model, blocks) {}
};

Conformance compare_with_oracle(DecoderTypes types, int cuda_device) {
  return check_decoder(
      [&](const d4j_decoder_spec& spec, DecoderTypes, const DecoderWeights& weights, int blocks) {
        const auto decoder = std::make_shared<ModelAndSession>(spec, types, weights, blocks, cuda_device);
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

std::vector<float> logits_of(const Session& session, const d4j_decoder_spec& spec,
                             const std::vector<SequenceStep>& sequences) {
  const OwnedStep step(spec, sequences);
  session.run(step.step());
  return step.logits();
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

TEST_F(LibtorchDecoder, copiedBlockContinuesASequenceAsTheOriginalDoes) {
  const d4j_decoder_spec spec = small_decoder();
  for (const d4j_dtype compute_type : {D4J_FLOAT32, D4J_BFLOAT16}) {
    const LoadedModel model(spec, compute_type, random_decoder_weights(spec, 1));
    const Session session(model);
    logits_of(session, spec, {{{0, 1}, 0, random_tokens(spec, 20, 2)}});
    ASSERT_EQ(d4j_session_copy_block(session.get(), 1, 6), D4J_OK);
    const std::vector<float> original = logits_of(session, spec, {{{0, 1}, 20, {3}}});
    logits_of(session, spec, {{{0, 1}, 20, {4}}});  // overwrites the original's slot, not the copy's
    logits_of(session, spec, {{{0, 6}, 20, {3}}});
    const std::vector<float> after_copy = logits_of(session, spec, {{{0, 6}, 21, {8}}});
    logits_of(session, spec, {{{0, 1}, 20, {3}}});
    EXPECT_EQ(after_copy, logits_of(session, spec, {{{0, 1}, 21, {8}}}));
    EXPECT_EQ(original, logits_of(session, spec, {{{0, 6}, 20, {3}}}));
  }
}

TEST_F(LibtorchDecoder, abortEndsOneStepOnly) {
  const d4j_decoder_spec spec = small_decoder();
  const LoadedModel model(spec, D4J_FLOAT32, random_decoder_weights(spec, 1));
  const Session session(model);
  const OwnedStep step(spec, {{{0}, 0, {1, 2, 3}}});
  d4j_session_abort(session.get());
  EXPECT_EQ(d4j_session_step(session.get(), &step.step()), D4J_ABORTED);
  EXPECT_EQ(d4j_session_step(session.get(), &step.step()), D4J_OK) << d4j_last_error();
}

TEST_F(LibtorchDecoder, abortByAnotherThreadEndsOneOfItsSteps) {
  const d4j_decoder_spec spec = small_decoder();
  const LoadedModel model(spec, D4J_FLOAT32, random_decoder_weights(spec, 1));
  const Session session(model);
  const OwnedStep step(spec, {{{0}, 0, {1, 2, 3}}});
  std::atomic<int> completed{0};
  std::atomic<d4j_status> status{D4J_OK};
  std::thread worker([&] {
    while (status == D4J_OK) {
      status = d4j_session_step(session.get(), &step.step());
      completed++;
    }
  });
  while (completed < 3 && status == D4J_OK) {
    std::this_thread::yield();
  }
  d4j_session_abort(session.get());
  worker.join();
  EXPECT_EQ(status, D4J_ABORTED);
  EXPECT_EQ(d4j_session_step(session.get(), &step.step()), D4J_OK) << d4j_last_error();
}

TEST_F(LibtorchDecoder, sessionsOfAModelRunBesideEachOther) {
  const d4j_decoder_spec spec = small_decoder();
  const LoadedModel model(spec, D4J_BFLOAT16, random_decoder_weights(spec, 1));
  const std::vector<std::int32_t> tokens = random_tokens(spec, 33, 2);
  const auto answer = [&] {
    const Session session(model);
    std::vector<float> logits;
    for (int i = 0; i < 20; i++) {
      logits = logits_of(session, spec, {{{3, 1, 2}, 0, tokens}});
    }
    return logits;
  };
  std::vector<float> theirs;
  std::thread other([&] { theirs = answer(); });
  const std::vector<float> ours = answer();
  other.join();
  EXPECT_EQ(ours, theirs);
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

// Bytes that malloc has given out and not got back, of this process.
std::int64_t allocated_bytes() {
#if defined(__SANITIZE_ADDRESS__)
  return static_cast<std::int64_t>(__sanitizer_get_current_allocated_bytes());
#else
  const struct mallinfo2 info = mallinfo2();
  return static_cast<std::int64_t>(info.uordblks + info.hblkhd);
#endif
}

TEST_F(LibtorchDecoder, stepsAndBlockCopiesLeaveNoMemoryBehind) {
  d4j_decoder_spec parallel = small_decoder();
  d4j_decoder_spec sequential = small_decoder();
  sequential.parallel_residual = 0;
  sequential.activation = D4J_GELU_TANH;
  sequential.attention_bias = 0;
  const DecoderShape shapes[] = {{"", parallel, D4J_FLOAT32}, {"", sequential, D4J_BFLOAT16}};
  for (const DecoderShape& shape : shapes) {
    const LoadedModel model(shape.spec, shape.types, random_decoder_weights(shape.spec, 1));
    const Session session(model);
    // A prompt, a chunk on scattered blocks with its mask, and a single token.
    const OwnedStep step(shape.spec, {{{0}, 0, {1, 2, 3}}, {{5, 3}, 14, {4, 5, 6}}, {{8, 7}, 17, {9}}});
    const auto run = [&](int times) {
      for (int i = 0; i < times; i++) {
        session.run(step.step());
        check(d4j_session_copy_block(session.get(), 5, 9));
      }
    };
    // Caches of libtorch and malloc fill in some rounds; a leak would show in every one, by 32 bytes a step or more.
    constexpr int kRounds = 40;
    constexpr int kSteps = 10;
    std::int64_t grown = std::numeric_limits<std::int64_t>::max();
    for (int round = 0; round < kRounds && grown >= 16 * kSteps; round++) {
      const std::int64_t before = allocated_bytes();
      run(kSteps);
      grown = allocated_bytes() - before;
    }
    EXPECT_LT(grown, 16 * kSteps);
  }
}

}  // namespace
}  // namespace dolly4j::test
