// The whole step on the CPU kernels: against the oracle, and bit for bit over instruction sets, threads and batches.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cpu/isa.h"
#include "every_isa.h"
#include "loaded_model.h"
#include "random.h"
#include "same_bits.h"

namespace dolly4j::test {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

d4j_model_options kernels(DecoderTypes types, int threads = 2, bool portable_bits = false) {
  return {D4J_BACKEND_KERNELS, types.weights, types.kv, -1, threads, portable_bits ? 1 : 0};
}

// Every instruction set, the types, and both orders of sums; those the CPU lacks are skipped.
struct Variant {
  Isa isa;
  DecoderTypes types;
  bool portable_bits;
};

class KernelDecoder : public testing::TestWithParam<Variant> {
 protected:
  void SetUp() override {
    skip_unless_available(GetParam().isa);
    forced_.emplace(GetParam().isa);
  }

  // One thread unless threads are what is tested: on a machine that does other work they wait for each other.
  d4j_model_options options(int threads = 1) const {
    return kernels(GetParam().types, threads, GetParam().portable_bits);
  }

 private:
  std::optional<ForcedIsa> forced_;
};

std::vector<Variant> variants() {
  std::vector<Variant> all;
  for (const Isa isa : kEveryIsa) {
    all.push_back({isa, D4J_FLOAT32, false});
    all.push_back({isa, D4J_BFLOAT16, false});
    all.push_back({isa, D4J_BFLOAT16, true});
    all.push_back({isa, D4J_INT8, false});  // whose sums have one order, as those of int4
    all.push_back({isa, D4J_INT4, false});
    all.push_back({isa, {D4J_BFLOAT16, D4J_FLOAT32}, false});
    all.push_back({isa, {D4J_FLOAT32, D4J_BFLOAT16}, false});
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(On, KernelDecoder, testing::ValuesIn(variants()),
                         [](const testing::TestParamInfo<Variant>& test) {
                           std::string name = name_of(test.param.isa) + (" " + name_of(test.param.types)) +
                                              (test.param.portable_bits ? " portable" : "");
                           std::replace(name.begin(), name.end(), ' ', '_');
                           return name;
                         });

TEST_P(KernelDecoder, stepsAreTheOracles) {
  const Conformance result = check_decoder(
      [&](const d4j_decoder_spec& spec, DecoderTypes, const DecoderWeights& weights, int blocks) {
        const auto decoder = std::make_shared<ModelAndSession>(spec, options(2), weights, blocks);
        return [decoder](const d4j_step& step) { decoder->session.run(step); };
      },
      Device::cpu, [&](const DecoderShape& shape) { return shape.types == GetParam().types; });
  EXPECT_TRUE(result.passed()) << result;
}

TEST_P(KernelDecoder, cacheInFloat32KeepsWhatOneInBfloat16Rounds) {
  const d4j_decoder_spec spec = small_decoder();
  const DecoderWeights weights = random_decoder_weights(spec, 1);
  d4j_model_options with_cache = options();
  std::vector<std::vector<float>> logits;
  for (const d4j_dtype kv_type : {D4J_FLOAT32, D4J_BFLOAT16}) {
    with_cache.kv_type = kv_type;
    const ModelAndSession decoder(spec, with_cache, weights, 16);
    const OwnedStep step(spec, {{{0, 1}, 0, random_tokens(spec, 20, 2)}});
    decoder.session.run(step.step());
    logits.push_back(step.logits());
  }
  EXPECT_NE(logits[0], logits[1]);
}

// A decoder with more than one split of attention, blocks of outputs that do not divide by the threads, and heads whose
// numbers fill no vector.
d4j_decoder_spec wide_decoder() {
  d4j_decoder_spec spec = small_decoder();
  spec.heads = 5;
  spec.head_size = 24;
  spec.hidden_size = 120;
  spec.ffn_size = 500;
  spec.context_length = 700;
  return spec;
}

std::vector<std::int32_t> blocks_from(int first, int count) {
  std::vector<std::int32_t> blocks;
  for (int i = 0; i < count; i++) {
    blocks.push_back(first + i);
  }
  return blocks;
}

// Prompts and single tokens of three sequences, then a token of each; all logits and hidden states.
std::vector<float> everything_of(const d4j_decoder_spec& spec, const d4j_model_options& options) {
  const ModelAndSession decoder(spec, options, random_decoder_weights(spec, 3), 64);
  std::vector<float> numbers;
  const std::vector<std::vector<SequenceStep>> steps = {
      {{blocks_from(0, 4), 0, random_tokens(spec, 41, 1)}, {blocks_from(8, 2), 0, random_tokens(spec, 1, 2)}},
      {{blocks_from(0, 4), 41, random_tokens(spec, 1, 3)},
       {blocks_from(8, 2), 1, random_tokens(spec, 17, 4)},
       {blocks_from(20, 1), 0, random_tokens(spec, 9, 5)}},
      {{blocks_from(0, 4), 42, {7}}, {blocks_from(8, 2), 18, {8}}, {blocks_from(20, 1), 9, {9}}}};
  for (const std::vector<SequenceStep>& sequences : steps) {
    const OwnedStep step(spec, sequences);
    decoder.session.run(step.step());
    numbers.insert(numbers.end(), step.logits().begin(), step.logits().end());
    numbers.insert(numbers.end(), step.hidden().begin(), step.hidden().end());
  }
  return numbers;
}

TEST_P(KernelDecoder, bitsAreThoseOfTheGenericKernels) {
  // Without portable bits the order of sums is AMX's on AMX.
  d4j_model_options generic = options();
  generic.portable_bits = GetParam().portable_bits || GetParam().isa == Isa::amx ? 1 : 0;
  for (const d4j_decoder_spec& spec : {small_decoder(), wide_decoder()}) {
    const std::vector<float> actual = everything_of(spec, options());
    const ForcedIsa forced(Isa::generic);
    expect_same_bits(actual, everything_of(spec, generic), name_of(GetParam().isa));
  }
}

TEST_P(KernelDecoder, bitsDoNotDependOnThreads) {
  for (const d4j_decoder_spec& spec : {small_decoder(), wide_decoder()}) {
    const std::vector<float> expected = everything_of(spec, options(1));
    for (const int threads : {2, 3, 7}) {
      expect_same_bits(everything_of(spec, options(threads)), expected, std::to_string(threads) + " threads");
    }
  }
}

TEST_P(KernelDecoder, promptInChunksHasTheBitsOfTheWholePrompt) {
  for (const d4j_decoder_spec& spec : {small_decoder(), wide_decoder()}) {
    const LoadedModel model(spec, options(), random_decoder_weights(spec, 1));
    const Session whole(model);
    const Session chunked(model);
    const std::vector<std::int32_t> tokens = random_tokens(spec, 53, 2);
    const std::vector<float> expected = logits_of(whole, spec, {{{0, 1, 2, 3}, 0, tokens}});
    std::vector<float> actual;
    int done = 0;
    for (const int count : {1, 16, 7, 1, 20, 8}) {
      const std::vector<std::int32_t> chunk(tokens.begin() + done, tokens.begin() + done + count);
      const std::vector<float> part = logits_of(chunked, spec, {{{9, 2, 14, 5}, done, chunk}});
      actual.insert(actual.end(), part.begin(), part.end());
      done += count;
    }
    expect_same_bits(actual, expected, "chunks");
  }
}

TEST_P(KernelDecoder, longContextsHaveTheBitsOfTheirPromptInOnePiece) {
  const d4j_decoder_spec spec = wide_decoder();
  const LoadedModel model(spec, options(), random_decoder_weights(spec, 1));
  const Session session(model, 100);
  const int length = kSanitized ? 300 : 600;  // more than one split of attention
  const std::vector<std::int32_t> tokens = random_tokens(spec, length, 2);
  const auto feed = [&](const std::vector<std::int32_t>& blocks, int chunk) {
    std::vector<float> last;
    for (int done = 0; done < length; done += chunk) {
      const int count = std::min(chunk, length - done);
      last = logits_of(session, spec, {{blocks, done, {tokens.begin() + done, tokens.begin() + done + count}}});
    }
    return std::vector<float>(last.end() - spec.vocab_size, last.end());
  };
  const std::vector<float> expected = feed(blocks_from(0, 38), 128);
  expect_same_bits(feed(blocks_from(50, 38), 7), expected, "chunks of 7");
}

// A decoder whose second matmul of the feed-forward has more inputs than any kernel adds up at a time.
d4j_decoder_spec decoder_of_several_chunks() {
  d4j_decoder_spec spec = small_decoder();
  spec.layers = 1;
  spec.ffn_size = 1400;
  return spec;
}

struct Compared {
  int batches = 0;
  int of_several_sequences = 0;
};

// Random sequences grow by random chunks in shared steps of up to so many rows; each row must have the bits that its
// sequence has alone, with the other options. Adds what it has compared, which is less if a batch has other bits.
void compare_with_solo_runs(const d4j_decoder_spec& spec, const d4j_model_options& options,
                            const d4j_model_options& solo_options, int batches, int most_rows, std::uint64_t seed,
                            Compared& compared) {
  const DecoderWeights weights = random_decoder_weights(spec, 1);
  const ModelAndSession together(spec, options, weights, 64);
  const ModelAndSession alone(spec, solo_options, weights, 64);
  Random random(seed);
  struct Growing {
    std::vector<std::int32_t> blocks;
    int cached = 0;
  };
  std::vector<Growing> sequences(8);
  for (int i = 0; i < 8; i++) {
    sequences[i].blocks = blocks_from(6 * i, 6);
  }
  for (int batch = 0; batch < batches;) {
    std::vector<SequenceStep> steps;
    std::vector<Growing*> grown;
    int rows = 0;
    for (const int i : random.permutation(8)) {
      Growing& sequence = sequences[i];
      if (sequence.cached == spec.context_length || random.below(20) == 0) {
        sequence.cached = 0;  // a new request on blocks with leftovers
      }
      const int most = std::min(spec.context_length - sequence.cached, most_rows - rows);
      if (most == 0 || random.below(3) == 0) {
        continue;
      }
      const int count = random.below(2) == 0 ? 1 : 1 + random.below(most);
      steps.push_back(
          {sequence.blocks, sequence.cached, random_tokens(spec, count, static_cast<std::uint64_t>(batch) * 8 + i)});
      grown.push_back(&sequence);
      rows += count;
    }
    if (steps.empty()) {
      continue;
    }
    const std::vector<float> shared = logits_of(together.session, spec, steps);
    std::vector<float> solo;
    for (const SequenceStep& step : steps) {
      const std::vector<float> own = logits_of(alone.session, spec, {step});
      solo.insert(solo.end(), own.begin(), own.end());
    }
    expect_same_bits(shared, solo,
                     std::to_string(options.threads) + " threads, feed-forward of " + std::to_string(spec.ffn_size) +
                         ", batch " + std::to_string(batch));
    if (testing::Test::HasFatalFailure()) {
      return;
    }
    for (std::size_t s = 0; s < steps.size(); s++) {
      grown[s]->cached += static_cast<int>(steps[s].tokens.size());
    }
    compared.batches++;
    compared.of_several_sequences += steps.size() > 1 ? 1 : 0;
    batch++;
  }
}

TEST_P(KernelDecoder, everyRowOfRandomRaggedBatchesHasTheBitsOfItsSoloRun) {
  // The generic kernels are slow, and so are all under a sanitizer.
  struct Sizes {
    int on_one_thread;
    int on_two;
    int most_rows;
    int of_several_chunks;
    int most_rows_of_those;
  };
  const bool is_generic = GetParam().isa == Isa::generic;
  const Sizes sizes = kSanitized ? (is_generic ? Sizes{4, 2, 64, 1, 32} : Sizes{40, 20, 128, 2, 128})
                                 : (is_generic ? Sizes{800, 200, 8, 6, 64} : Sizes{800, 200, 128, 100, 128});
  const std::uint64_t seed = GetParam().portable_bits ? 11 : 12;
  Compared compared;
  compare_with_solo_runs(small_decoder(), options(1), options(1), sizes.on_one_thread, sizes.most_rows, seed, compared);
  compare_with_solo_runs(small_decoder(), options(2), options(1), sizes.on_two, sizes.most_rows, seed + 2, compared);
  compare_with_solo_runs(decoder_of_several_chunks(), options(2), options(1), sizes.of_several_chunks,
                         sizes.most_rows_of_those, seed + 4, compared);
  if (!kSanitized) {
    EXPECT_GE(compared.batches, 1000);
    EXPECT_GE(compared.of_several_sequences, 900);
  }
}

TEST_P(KernelDecoder, callersDenormalsAreUntouched) {
  const d4j_decoder_spec spec = small_decoder();
  const ModelAndSession decoder(spec, options(), random_decoder_weights(spec, 1), 16);
  const OwnedStep step(spec, {{{0}, 0, {1, 2, 3}}});
  const OwnedStep refused(spec, {{{999}, 0, {1, 2, 3}}});
  const auto expect_denormals = [](const char* after) {
    volatile float smallest = std::numeric_limits<float>::min();
    volatile float half = smallest / 2;
    EXPECT_GT(half, 0.0F) << after;
    EXPECT_EQ(half * 2, smallest) << after;
  };
  decoder.session.run(step.step());
  expect_denormals("a step");
  EXPECT_EQ(d4j_session_step(decoder.session.get(), &refused.step()), D4J_INVALID_ARGUMENT);
  expect_denormals("a step that was refused");
  d4j_session_abort(decoder.session.get());
  EXPECT_EQ(d4j_session_step(decoder.session.get(), &step.step()), D4J_ABORTED);
  expect_denormals("a step that was aborted");
}

// Weights whose columns are all of the same size, behind norms that give out channels of the same size.
DecoderWeights even_weights(const d4j_decoder_spec& spec) {
  DecoderWeights weights = random_decoder_weights(spec, 5);
  for (auto& [place, values] : weights) {
    const SlotShape shape = slot_shape(spec, place.first);
    if (shape.kind == SlotKind::norm) {
      const bool is_gain = place.first == D4J_ATTENTION_NORM_WEIGHT || place.first == D4J_FFN_NORM_WEIGHT ||
                           place.first == D4J_FINAL_NORM_WEIGHT;
      std::fill(values.begin(), values.end(), is_gain ? 1.0F : 0.0F);
    } else if (shape.columns == spec.hidden_size) {
      for (std::size_t i = 0; i < values.size(); i++) {
        values[i] = i < static_cast<std::size_t>(shape.columns) ? 1.0F : std::clamp(values[i], -1.0F, 1.0F);
      }
    }
  }
  return weights;
}

// Two channels of every block's norms eight times as large, and the weights that take them as much smaller: the same
// function.
DecoderWeights with_outliers(const d4j_decoder_spec& spec, DecoderWeights weights) {
  for (auto& [place, values] : weights) {
    const SlotShape shape = slot_shape(spec, place.first);
    const bool is_behind_norm = place.first == D4J_QKV_WEIGHT || place.first == D4J_FC1_WEIGHT;
    const bool is_final = place.first == D4J_FINAL_NORM_WEIGHT || place.first == D4J_FINAL_NORM_BIAS;
    if ((shape.kind == SlotKind::norm && !is_final) || is_behind_norm) {
      for (std::size_t i = 0; i < values.size(); i++) {
        const std::size_t channel = i % static_cast<std::size_t>(spec.hidden_size);
        if (channel == 7 || channel == 40) {
          values[i] *= is_behind_norm ? 0.125F : 8;
        }
      }
    }
  }
  return weights;
}

TEST(KernelDecoderSmoothing, outliersOfObservedNormsLoseNothing) {
  for (const d4j_dtype type : {D4J_INT8, D4J_INT4}) {
    for (const bool shared_norm : {false, true}) {
      d4j_decoder_spec spec = small_decoder();
      spec.shared_norm = shared_norm ? 1 : 0;
      const DecoderWeights even = even_weights(spec);
      const DecoderWeights outliers = with_outliers(spec, even);
      const auto logits = [&](const DecoderWeights& weights, const LoadedModel::RowCalls& calls) {
        const LoadedModel model(spec, kernels(type, 1), weights, [](d4j_model*) {}, calls);
        return logits_of(Session(model), spec, {{{0, 1}, 0, random_tokens(spec, 20, 2)}});
      };
      const std::vector<float> expected = logits(even, {d4j_model_load_rows});
      expect_same_bits(logits(outliers, {d4j_model_observe_rows, d4j_model_load_rows}), expected, "observed");
      EXPECT_NE(logits(outliers, {d4j_model_load_rows}), expected);
    }
  }
}

TEST(KernelDecoderSmoothing, hiddenStateOfTheFinalNormIsAsLargeAsEver) {
  const d4j_decoder_spec spec = small_decoder();
  DecoderWeights weights = even_weights(spec);
  weights.at({D4J_FINAL_NORM_WEIGHT, 0})[7] = 64;
  const auto last_hidden = [&](d4j_dtype type) {
    const LoadedModel model(spec, kernels(type, 1), weights, [](d4j_model*) {},
                            {d4j_model_observe_rows, d4j_model_load_rows});
    const OwnedStep step(spec, {{{0, 1}, 0, random_tokens(spec, 20, 2)}});
    Session(model).run(step.step());
    return std::vector<float>(step.hidden().end() - spec.hidden_size, step.hidden().end());
  };
  const std::vector<float> exact = last_hidden(D4J_FLOAT32);
  const std::vector<float> actual = last_hidden(D4J_INT8);
  for (std::size_t i = 0; i < exact.size(); i++) {
    EXPECT_NEAR(actual[i], exact[i], i == 7 ? 6 : 0.1) << i;
  }
}

TEST(KernelDecoderOptions, wrongOnesAreRefusedByName) {
  const d4j_decoder_spec spec = small_decoder();
  const auto message = [&](const d4j_model_options& options) {
    d4j_model* model = nullptr;
    EXPECT_EQ(d4j_model_create(&spec, &options, &model), D4J_INVALID_ARGUMENT);
    return std::string(d4j_last_error());
  };
  EXPECT_NE(message({D4J_BACKEND_KERNELS, D4J_BFLOAT16, D4J_BFLOAT16, 0, 1, 0}).find("cuda_device"), std::string::npos);
  EXPECT_NE(message({D4J_BACKEND_KERNELS, D4J_BFLOAT16, D4J_BFLOAT16, -1, 0, 0}).find("threads"), std::string::npos);
  EXPECT_NE(message({D4J_BACKEND_KERNELS, D4J_BFLOAT16, D4J_BFLOAT16, -1, 1, 2}).find("portable_bits"),
            std::string::npos);
  EXPECT_NE(message({2, D4J_BFLOAT16, D4J_BFLOAT16, -1, 1, 0}).find("backend"), std::string::npos);
  const ForcedIsa forced("mmx");
  EXPECT_NE(message(kernels(D4J_BFLOAT16)).find("'mmx'"), std::string::npos);
}

TEST(KernelDecoderOptions, memoryCountsThePaddedCacheAndWeights) {
  d4j_decoder_spec spec = small_decoder();  // heads of 20: keys are padded to 20, values to 32
  const LoadedModel model(spec, kernels(D4J_BFLOAT16), random_decoder_weights(spec, 1));
  d4j_memory memory{};
  ASSERT_EQ(d4j_model_memory(model.get(), &memory), D4J_OK);
  EXPECT_EQ(memory.block_bytes, 2 * 3 * 16 * (20 + 32) * 2);
  // Per layer: qkv [192, 64], dense [64, 64], fc1 [256, 64], fc2 [64, 256] of 180, 60, 250 and 60 outputs, in bfloat16;
  // biases and norms in float32. Then head [336, 64], embedding [331, 60], and the final norm.
  const std::int64_t matrices = 2 * (192 * 64 + 64 * 64 + 256 * 64 + 64 * 256);
  const std::int64_t vectors = 4 * (180 + 60 + 250 + 60 + 4 * 60);
  EXPECT_EQ(memory.weight_bytes, 2 * (matrices + vectors) + 2 * 336 * 64 + 2 * 331 * 60 + 4 * 2 * 60);
  const std::int64_t others = 2 * vectors + 2 * 331 * 60 + 4 * 2 * 60;

  // Inputs padded to 128, and a scale for each of the rows.
  const std::int64_t weights = 192 * 128 + 64 * 128 + 256 * 128 + 64 * 256;
  const LoadedModel int8(spec, kernels(D4J_INT8), random_decoder_weights(spec, 1));
  ASSERT_EQ(d4j_model_memory(int8.get(), &memory), D4J_OK);
  const std::int64_t scales = 4 * (192 + 64 + 256 + 64);
  const std::int64_t head = 336 * 128 + 4 * 336;
  EXPECT_EQ(memory.weight_bytes, 2 * (weights + scales) + head + others);
  EXPECT_EQ(memory.block_bytes, 2 * 3 * 16 * (20 + 32) * 2);

  const LoadedModel wide_cache(spec, kernels({D4J_BFLOAT16, D4J_FLOAT32}), random_decoder_weights(spec, 1));
  ASSERT_EQ(d4j_model_memory(wide_cache.get(), &memory), D4J_OK);
  EXPECT_EQ(memory.weight_bytes, 2 * (matrices + vectors) + 2 * 336 * 64 + 2 * 331 * 60 + 4 * 2 * 60);
  EXPECT_EQ(memory.block_bytes, 2 * 3 * 16 * (20 + 32) * 4);

  // 64 inputs have a scale of two bytes for each row.
  const LoadedModel int4(spec, kernels(D4J_INT4), random_decoder_weights(spec, 1));
  ASSERT_EQ(d4j_model_memory(int4.get(), &memory), D4J_OK);
  EXPECT_EQ(memory.weight_bytes, 2 * (weights / 2 + weights / 64 * 2) + head + others);
}

}  // namespace
}  // namespace dolly4j::test
