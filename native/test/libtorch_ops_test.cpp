// Every op of the libtorch graph against its oracle, on the CPU and on a CUDA device if libtorch sees one.
//
// Where libtorch offers less than the contract of an op, the case is left out here with the reason.
#include <algorithm>
#include <map>
#include <utility>

#include "conformance.h"
#include "libtorch_test.h"
#include "torch/decoder_ops.h"

namespace dolly4j::test {
namespace {

class LibtorchOps : public LibtorchTest, public testing::WithParamInterface<Device> {
 protected:
  void SetUp() override {
    LibtorchTest::SetUp();
    if (!IsSkipped() && GetParam() == Device::cuda && cuda_devices() == 0) {
      GTEST_SKIP() << "libtorch sees no CUDA device";
    }
  }

  TorchDevice device() const { return {GetParam() == Device::cuda ? 0 : -1}; }

  static TensorType type_of(DType dtype) {
    return dtype == DType::float32 ? TensorType::kFloat32 : TensorType::kBFloat16;
  }

  Tensor tensor(const Input& numbers, const Sizes& sizes) const {
    return Tensor::copy_of(numbers.data, sizes, type_of(numbers.dtype), device());
  }

  // [rows, heads, head size] out of rows that are a stride apart.
  Tensor strided(const float* numbers, std::int64_t rows, std::int64_t heads, std::int64_t head_size,
                 std::int64_t stride) const {
    const Tensor all = tensor(numbers, {(rows - 1) * stride + heads * head_size});
    return all.view({rows, heads, head_size}, {stride, head_size, 1});
  }

  Tensor index(const std::int32_t* values, std::int64_t count) const {
    const std::vector<std::int64_t> wide(values, values + count);
    return Tensor::copy_of(wide.data(), {count}, TensorType::kInt64, device());
  }

  // Slots of the KV cache up to the last one that the batch names.
  static std::int64_t slots_in_use(const RaggedBatch& batch) {
    std::int64_t last = 0;
    for (int s = 0; s < batch.sequences; s++) {
      for (int position = 0; position < batch.context_lengths[s]; position++) {
        last = std::max(last, batch.slot(s, position));
      }
    }
    return (last / kKvBlockSize + 1) * kKvBlockSize;
  }

  // The type must be the operand's already: the copy would convert.
  static void copy_out(const Tensor& result, const Output& y) {
    ASSERT_EQ(result.type(), type_of(y.dtype));
    Tensor host = Tensor::over(y.data, result.sizes(), result.type());
    host.copy_from(result);
  }
};

TEST_P(LibtorchOps, embedding) {
  const Conformance result = check_embedding(
      [&](const EmbeddingArgs& args) {
        const std::int64_t vocab = *std::max_element(args.tokens, args.tokens + args.rows) + 1;
        copy_out(torch_ops::embedding(index(args.tokens, args.rows), tensor(args.table, {vocab, args.hidden_size})),
                 args.y);
      },
      GetParam());
  EXPECT_TRUE(result.passed()) << result;
  EXPECT_EQ(result.left_out, 0);
}

TEST_P(LibtorchOps, layerNorm) {
  const Conformance result = check_layer_norm(
      [&](const LayerNormArgs& args) {
        const Tensor x = tensor(args.x, {args.rows, args.hidden_size});
        for (int n = 0; n < args.norm_count; n++) {
          const LayerNormOutput& norm = args.norms[n];
          copy_out(
              torch_ops::layer_norm(x, tensor(norm.gamma, {args.hidden_size}), tensor(norm.beta, {args.hidden_size}),
                                    static_cast<double>(args.epsilon), type_of(norm.y.dtype)),
              norm.y);
        }
      },
      GetParam());
  EXPECT_TRUE(result.passed()) << result;
  EXPECT_EQ(result.left_out, 0);
}

TEST_P(LibtorchOps, linear) {
  const Conformance result = check_linear(
      [&](const LinearArgs& args) {
        const Tensor bias = args.bias == nullptr ? Tensor() : tensor(args.bias, {args.outputs});
        const TensorType type = type_of(args.x.dtype);
        copy_out(torch_ops::linear(tensor(args.x, {args.rows, args.inputs}),
                                   tensor(args.weight, {args.outputs, args.inputs}),
                                   bias.defined() ? bias.to(type) : Tensor()),
                 args.y);
      },
      // libtorch rounds the sums of bfloat16 products to bfloat16.
      GetParam(), [](const LinearShape& shape) { return shape.inputs_type == shape.y; });
  EXPECT_TRUE(result.passed()) << result;
  EXPECT_EQ(result.left_out, result.cases / 2);
}

TEST_P(LibtorchOps, gelu) {
  const Conformance result = check_gelu(
      [&](const GeluArgs& args) {
        copy_out(torch_ops::gelu(tensor(args.x, {args.count}), args.form, type_of(args.y.dtype)), args.y);
      },
      GetParam());
  EXPECT_TRUE(result.passed()) << result;
  EXPECT_EQ(result.left_out, 0);
}

TEST_P(LibtorchOps, rotary) {
  constexpr int kPositions = 4096;  // more than the cases have
  std::map<std::pair<int, int>, torch_ops::Rotations> rotations;
  const Conformance result = check_rotary(
      [&](const RotaryArgs& args) {
        const auto [found, is_new] = rotations.try_emplace({args.head_size, args.rotary_dims});
        if (is_new) {
          const std::vector<float> frequencies(args.inverse_frequencies,
                                               args.inverse_frequencies + args.rotary_dims / 2);
          found->second = torch_ops::Rotations::of_first(kPositions, frequencies, args.head_size, device());
        }
        const Tensor qkv = tensor(args.q, {args.rows, std::int64_t{3} * args.heads * args.head_size});
        const auto [q, k] =
            torch_ops::rotary(qkv, found->second.at(index(args.positions, args.rows)), type_of(args.q_out.dtype));
        copy_out(q, args.q_out);
        copy_out(k, args.k_out);
      },
      // The graph knows Q and K as parts of a fused QKV only, and keeps them in one type.
      GetParam(), [](const RotaryShape& shape) { return shape.fused && shape.q_out == shape.k_out; });
  EXPECT_TRUE(result.passed()) << result;
  EXPECT_GT(result.cases, 80);
}

TEST_P(LibtorchOps, kvAppend) {
  const Conformance result = check_kv_append(
      [&](const KvAppendArgs& args) {
        const std::int64_t rows = args.batch.rows;
        const Sizes cache{slots_in_use(args.batch), args.heads, args.head_size};
        Tensor keys = tensor({args.keys.data, args.keys.dtype}, cache);
        Tensor values = tensor({args.values.data, args.values.dtype}, cache);
        torch_ops::kv_append(strided(args.k, rows, args.heads, args.head_size, args.k_stride),
                             strided(args.v, rows, args.heads, args.head_size, args.v_stride),
                             to_torch(args.batch, device()).slots, keys, values);
        copy_out(keys, args.keys);
        copy_out(values, args.values);
      },
      GetParam());
  EXPECT_TRUE(result.passed()) << result;
  EXPECT_EQ(result.left_out, 0);
}

TEST_P(LibtorchOps, pagedAttention) {
  const Conformance result = check_paged_attention(
      [&](const PagedAttentionArgs& args) {
        const Sizes cache{slots_in_use(args.batch), args.heads, args.head_size};
        copy_out(torch_ops::paged_attention(tensor(args.q, {args.batch.rows, args.heads, args.head_size}),
                                            tensor(args.keys, cache), tensor(args.values, cache),
                                            to_torch(args.batch, device())),
                 args.y);
      },
      // libtorch wants Q, K and V in one type, which is the result's too.
      GetParam(), [](const PagedAttentionShape& shape) { return shape.q == shape.cache && shape.cache == shape.y; });
  EXPECT_TRUE(result.passed()) << result;
  EXPECT_GT(result.cases, 80);
}

TEST_P(LibtorchOps, residualAdd) {
  const Conformance result = check_residual_add(
      [&](const ResidualAddArgs& args) {
        const Sizes sizes{args.count};
        copy_out(torch_ops::residual_add(tensor(args.h, sizes), tensor(args.a, sizes),
                                         args.b == nullptr ? Tensor() : tensor(args.b, sizes)),
                 args.h);
      },
      GetParam());
  EXPECT_TRUE(result.passed()) << result;
  EXPECT_EQ(result.left_out, 0);
}

INSTANTIATE_TEST_SUITE_P(On, LibtorchOps, testing::Values(Device::cpu, Device::cuda),
                         [](const testing::TestParamInfo<Device>& device) {
                           return device.param == Device::cpu ? "cpu" : "cuda";
                         });

class TorchBatches : public LibtorchTest {};

std::vector<std::int64_t> values(const Tensor& index) {
  std::vector<std::int64_t> result(index.size(0));
  Tensor host = Tensor::over(result.data(), index.sizes(), TensorType::kInt64);
  host.copy_from(index);
  return result;
}

TEST_F(TorchBatches, contextsOnNeighbouringBlocksAreReadInPlaceAndOthersBySlots) {
  const std::int32_t starts[] = {0, 1, 2};
  const std::int32_t contexts[] = {34, 18};
  const std::int32_t positions[] = {33, 17};
  const std::int32_t tables[] = {5, 6, 7, 3, 2, -1};
  const TorchBatch batch = to_torch({2, 2, starts, contexts, positions, tables, 3}, {});
  EXPECT_EQ(values(batch.positions), (std::vector<std::int64_t>{33, 17}));
  EXPECT_EQ(values(batch.slots), (std::vector<std::int64_t>{7 * 16 + 1, 2 * 16 + 1}));
  EXPECT_EQ(batch.sequences[0].first_slot, 5 * 16);
  EXPECT_FALSE(batch.sequences[0].slots.defined());
  EXPECT_EQ(batch.sequences[1].first_slot, -1);
  const std::vector<std::int64_t> slots = values(batch.sequences[1].slots);
  ASSERT_EQ(slots.size(), 18U);
  EXPECT_EQ(slots[0], 48);
  EXPECT_EQ(slots[15], 63);
  EXPECT_EQ(slots[16], 32);
  EXPECT_EQ(slots[17], 33);
}

TEST_F(TorchBatches, onlyChunksOfAPromptNeedAMask) {
  const std::int32_t starts[] = {0, 1, 4, 6};
  const std::int32_t contexts[] = {9, 3, 5};
  const std::int32_t positions[] = {8, 0, 1, 2, 3, 4};
  const std::int32_t tables[] = {0, 1, 2};
  const TorchBatch batch = to_torch({6, 3, starts, contexts, positions, tables, 1}, {});
  EXPECT_FALSE(batch.sequences[0].mask.defined());  // a single row sees all
  EXPECT_FALSE(batch.sequences[0].is_causal());
  EXPECT_FALSE(batch.sequences[1].mask.defined());
  EXPECT_TRUE(batch.sequences[1].is_causal());
  EXPECT_FALSE(batch.sequences[2].is_causal());
  ASSERT_TRUE(batch.sequences[2].mask.defined());
  std::vector<std::uint8_t> mask(10);
  Tensor host = Tensor::over(mask.data(), {2, 5}, TensorType::kBool);
  host.copy_from(batch.sequences[2].mask);
  EXPECT_EQ(mask, (std::vector<std::uint8_t>{1, 1, 1, 1, 0, 1, 1, 1, 1, 1}));
}

}  // namespace
}  // namespace dolly4j::test
