#include "ops/embedding.h"

#include <gtest/gtest.h>

#include "conformance.h"

namespace dolly4j::test {
namespace {

TEST(Embedding, rowOfEachTokenIsCopied) {
  const std::vector<std::int32_t> tokens = {330, 0, 7, 7};
  std::vector<float> table;
  for (int i = 0; i < 331 * 5; i++) {
    table.push_back(static_cast<float>(i));
  }
  std::vector<float> y(20);
  embedding_oracle({tokens.data(), table.data(), y.data(), 4, 5});
  EXPECT_EQ(y,
            (std::vector<float>{1650, 1651, 1652, 1653, 1654, 0, 1, 2, 3, 4, 35, 36, 37, 38, 39, 35, 36, 37, 38, 39}));
}

TEST(Embedding, bfloat16TableIsWidened) {
  const std::vector<std::int32_t> tokens = {1};
  const std::vector<bfloat16> table = {to_bfloat16(9), to_bfloat16(9), to_bfloat16(-1.5F), to_bfloat16(0x1p-20F)};
  std::vector<float> y(2);
  embedding_oracle({tokens.data(), table.data(), y.data(), 1, 2});
  EXPECT_EQ(y, (std::vector<float>{-1.5F, 0x1p-20F}));
}

TEST(EmbeddingCases, oracleWritesEveryNumber) {
  const Conformance result = check_embedding(embedding_oracle, Device::cpu);
  EXPECT_TRUE(result.passed()) << result;
}

TEST(EmbeddingCases, rejectTheRowBefore) {
  const Conformance result = check_embedding(
      [](const EmbeddingArgs& args) {
        std::vector<std::int32_t> tokens(args.tokens, args.tokens + args.rows);
        for (std::int32_t& token : tokens) {
          token -= token > 0 ? 1 : 0;
        }
        EmbeddingArgs wrong = args;
        wrong.tokens = tokens.data();
        embedding_oracle(wrong);
      },
      Device::cpu);
  EXPECT_FALSE(result.passed());
}

}  // namespace
}  // namespace dolly4j::test
