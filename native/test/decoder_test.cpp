// What sessions do beside computing the right numbers, whichever backend runs their steps.
#include <gtest/gtest.h>
#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "libtorch_test.h"
#include "loaded_model.h"

#if defined(__SANITIZE_ADDRESS__)
extern "C" std::size_t __sanitizer_get_current_allocated_bytes();
#endif

namespace dolly4j::test {
namespace {

struct Variant {
  d4j_backend backend;
  DecoderTypes types;
};

class AnyDecoder : public testing::TestWithParam<Variant> {
 protected:
  void SetUp() override {
    if (GetParam().backend == D4J_BACKEND_LIBTORCH) {
      attach_test_libtorch();
    }
  }

  static LoadedModel load(const d4j_decoder_spec& spec) {
    const Variant& variant = GetParam();
    return {
        spec, {variant.backend, variant.types.weights, variant.types.kv, -1, 2, 0}, random_decoder_weights(spec, 1)};
  }
};

std::vector<Variant> variants() {
  std::vector<Variant> all;
  for (const d4j_backend backend : {D4J_BACKEND_KERNELS, D4J_BACKEND_LIBTORCH}) {
    all.push_back({backend, D4J_FLOAT32});
    all.push_back({backend, D4J_BFLOAT16});
    all.push_back({backend, {D4J_BFLOAT16, D4J_FLOAT32}});
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(On, AnyDecoder, testing::ValuesIn(variants()),
                         [](const testing::TestParamInfo<Variant>& test) {
                           std::string name = test.param.backend == D4J_BACKEND_KERNELS ? "kernels " : "libtorch ";
                           name += name_of(test.param.types);
                           std::replace(name.begin(), name.end(), ' ', '_');
                           return name;
                         });

TEST_P(AnyDecoder, copiedBlockContinuesASequenceAsTheOriginalDoes) {
  const d4j_decoder_spec spec = small_decoder();
  const LoadedModel model = load(spec);
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

TEST_P(AnyDecoder, sessionsOfAModelRunBesideEachOther) {
  const d4j_decoder_spec spec = small_decoder();
  const LoadedModel model = load(spec);
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

TEST_P(AnyDecoder, abortEndsOneStepOnly) {
  const d4j_decoder_spec spec = small_decoder();
  const LoadedModel model = load(spec);
  const Session session(model);
  const OwnedStep step(spec, {{{0}, 0, {1, 2, 3}}});
  d4j_session_abort(session.get());
  EXPECT_EQ(d4j_session_step(session.get(), &step.step()), D4J_ABORTED);
  EXPECT_EQ(d4j_session_step(session.get(), &step.step()), D4J_OK) << d4j_last_error();
}

TEST_P(AnyDecoder, abortByAnotherThreadEndsOneOfItsSteps) {
  const d4j_decoder_spec spec = small_decoder();
  const LoadedModel model = load(spec);
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

// Bytes that malloc has given out and not got back, of this process.
std::int64_t allocated_bytes() {
#if defined(__SANITIZE_ADDRESS__)
  return static_cast<std::int64_t>(__sanitizer_get_current_allocated_bytes());
#else
  const struct mallinfo2 info = mallinfo2();
  return static_cast<std::int64_t>(info.uordblks + info.hblkhd);
#endif
}

TEST_P(AnyDecoder, stepsAndBlockCopiesLeaveNoMemoryBehind) {
  d4j_decoder_spec sequential = small_decoder();
  sequential.parallel_residual = 0;
  sequential.activation = D4J_GELU_TANH;
  sequential.attention_bias = 0;
  for (const d4j_decoder_spec& spec : {small_decoder(), sequential}) {
    const LoadedModel model = load(spec);
    const Session session(model);
    // A prompt, a chunk on scattered blocks with its mask, and a single token.
    const OwnedStep step(spec, {{{0}, 0, {1, 2, 3}}, {{5, 3}, 14, {4, 5, 6}}, {{8, 7}, 17, {9}}});
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
