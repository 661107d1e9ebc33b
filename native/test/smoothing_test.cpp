#include "model/smoothing.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "api/error.h"
#include "decoder_cases.h"
#include "random.h"

namespace dolly4j::test {
namespace {

d4j_decoder_spec decoder_of(int hidden_size) {
  d4j_decoder_spec spec = small_decoder();
  spec.heads = 1;
  spec.head_size = hidden_size;
  spec.hidden_size = hidden_size;
  return spec;
}

// Shows it the norm of the attention of layer 0, with a bias of 0, and its matrix of one row.
void observe(Smoothing& smoothing, const std::vector<float>& gain, const std::vector<float>& row) {
  const auto size = static_cast<std::int64_t>(gain.size());
  smoothing.observe(D4J_ATTENTION_NORM_WEIGHT, 0, 0, size, gain.data());
  smoothing.observe(D4J_QKV_WEIGHT, 0, 0, 1, row.data());
}

std::vector<float> factors_of(Smoothing& smoothing, d4j_slot slot, int layer, int size) {
  const float* factors = smoothing.factors(slot, layer);
  return {factors, factors + size};
}

std::vector<float> factors_for(const std::vector<float>& gain, const std::vector<float>& row) {
  const auto size = static_cast<int>(gain.size());
  Smoothing smoothing(decoder_of(size));
  observe(smoothing, gain, row);
  return factors_of(smoothing, D4J_QKV_WEIGHT, 0, size);
}

TEST(Smoothing, factorIsThePowerOfTwoNearestToTheRootOfTheRatio) {
  // Of relative ratios 1, 1.99, 2, 7.9, 8, 1/2, 0.49, 1/8, 0.124 and 2^20, with a median of 1.
  const std::vector<float> gain{1, 1.99F, 2, 7.9F, 8, 0.5F, 0.49F, 0.125F, 0.124F, 0x1p20F, 1, 1, 1, 1, 1};
  const std::vector<float> expected{1, 1, 2, 2, 4, 1, 0.5F, 0.5F, 0.25F, 64, 1, 1, 1, 1, 1};
  EXPECT_EQ(factors_for(gain, std::vector<float>(gain.size(), 1.0F)), expected);
}

TEST(Smoothing, largeChannelsOfSmallWeightsAreEvenedOutWholeAndOfUsualWeightsByHalf) {
  EXPECT_EQ(factors_for({1, 64, 64, 1, 1, 1, 1}, {1, 1.0F / 64, 1, -1, 1, -1, 1}),
            (std::vector<float>{1, 64, 8, 1, 1, 1, 1}));
}

TEST(Smoothing, sizeOfAllChannelsOrWeightsDoesNotMatter) {
  EXPECT_EQ(factors_for({100, 400, 100, 100, 100}, {0.01F, 0.01F, 0.01F, -0.01F, 0.01F}),
            (std::vector<float>{1, 2, 1, 1, 1}));
}

TEST(Smoothing, biasCountsAsTheGainDoes) {
  Smoothing smoothing(decoder_of(5));
  observe(smoothing, {1, 3, 1, 1, 1}, {1, 1, 1, 1, 1});
  const std::vector<float> bias{0, 4, 0, 0, 0};
  smoothing.observe(D4J_ATTENTION_NORM_BIAS, 0, 0, 5, bias.data());
  EXPECT_EQ(factors_of(smoothing, D4J_ATTENTION_NORM_BIAS, 0, 5), (std::vector<float>{1, 2, 1, 1, 1}));
}

TEST(Smoothing, channelsWithoutAGainOrWeightsAndGiantsHaveFiniteFactors) {
  EXPECT_EQ(factors_for({1, 0, 1, 3e38F, 1, 1e-12F, 1, 1}, {1, 1, 0, 1, 1, 1, 1e-45F, 1}),
            (std::vector<float>{1, 1, 1, 1, 1, 0x1p-6F, 1, 1}));
  EXPECT_EQ(factors_for({0, 0}, {0, 0}), (std::vector<float>{1, 1}));
}

TEST(Smoothing, orderAndPiecesOfTheRowsDoNotMatter) {
  constexpr int kSize = 24;
  constexpr int kRows = 40;
  Random random(3);
  const std::vector<float> gain = random.normals(kSize, 1, 0);
  const std::vector<float> rows = random.normals(kRows * kSize, 1, 0);
  Smoothing whole(decoder_of(kSize));
  whole.observe(D4J_FC1_WEIGHT, 1, 0, kRows, rows.data());
  whole.observe(D4J_FFN_NORM_WEIGHT, 1, 0, kSize, gain.data());
  Smoothing pieces(decoder_of(kSize));
  pieces.observe(D4J_FFN_NORM_WEIGHT, 1, 10, kSize - 10, gain.data() + 10);
  for (const int row : random.permutation(kRows)) {
    pieces.observe(D4J_FC1_WEIGHT, 1, row, 1, rows.data() + row * kSize);
  }
  pieces.observe(D4J_FFN_NORM_WEIGHT, 1, 0, 10, gain.data());
  const std::vector<float> expected = factors_of(whole, D4J_FFN_NORM_WEIGHT, 1, kSize);
  EXPECT_EQ(factors_of(pieces, D4J_FC1_WEIGHT, 1, kSize), expected);
  EXPECT_GT(std::count_if(expected.begin(), expected.end(), [](float factor) { return factor != 1; }), 0);
}

TEST(Smoothing, normsOfOtherLayersAndMatricesHaveFactorsOfTheirOwn) {
  Smoothing smoothing(decoder_of(5));
  observe(smoothing, {1, 4, 1, 1, 1}, {1, 1, 1, 1, 1});
  EXPECT_EQ(factors_of(smoothing, D4J_QKV_WEIGHT, 0, 5), (std::vector<float>{1, 2, 1, 1, 1}));
  const std::vector<float> ones(5, 1);
  EXPECT_EQ(factors_of(smoothing, D4J_QKV_WEIGHT, 1, 5), ones);
  EXPECT_EQ(factors_of(smoothing, D4J_FC1_WEIGHT, 0, 5), ones);
  EXPECT_FALSE(Smoothing::concerns(D4J_FINAL_NORM_WEIGHT));
  EXPECT_FALSE(Smoothing::concerns(D4J_HEAD_WEIGHT));
}

TEST(Smoothing, normThatIsSharedHasTheSameFactorsForBothMatrices) {
  d4j_decoder_spec spec = decoder_of(5);
  spec.shared_norm = 1;
  Smoothing smoothing(spec);
  observe(smoothing, {1, 16, 1, 1, 1}, {1, 1, 1, 1, 1});
  const std::vector<float> row{1, 4, 1, 1, 1};
  smoothing.observe(D4J_FC1_WEIGHT, 0, 0, 1, row.data());
  const std::vector<float> expected{1, 2, 1, 1, 1};
  EXPECT_EQ(factors_of(smoothing, D4J_QKV_WEIGHT, 0, 5), expected);
  EXPECT_EQ(factors_of(smoothing, D4J_FC1_WEIGHT, 0, 5), expected);
}

TEST(Smoothing, observingAfterFactorsWereUsedIsRefused) {
  Smoothing smoothing(decoder_of(2));
  observe(smoothing, {1, 1}, {1, 1});
  smoothing.factors(D4J_ATTENTION_NORM_WEIGHT, 0);
  const std::vector<float> row{1, 1};
  EXPECT_THROW(smoothing.observe(D4J_QKV_WEIGHT, 0, 1, 1, row.data()), Error);
}

}  // namespace
}  // namespace dolly4j::test
