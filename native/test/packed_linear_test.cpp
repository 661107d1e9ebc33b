#include "ops/packed_linear.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "amx_emulation.h"
#include "buffer.h"
#include "conformance.h"
#include "cpu/vector_generic.h"
#include "emulated_tiles.h"
#include "every_isa.h"
#include "fnv.h"
#include "ops/packed_linear/fma_kernels.h"
#include "ops/packed_linear/group_tiles.h"
#include "ops/packed_linear/kernels.h"
#include "ops/packed_linear/tile_skeleton.h"
#include "packed_linear_case.h"

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace dolly4j::test {
namespace {

struct Kind {
  WeightType type;
  SumOrder order;
};
constexpr Kind kKinds[] = {{WeightType::float32, SumOrder::pairs},
                           {WeightType::bfloat16, SumOrder::pairs},
                           {WeightType::bfloat16, SumOrder::tiles},
                           {WeightType::int8, SumOrder::pairs},
                           {WeightType::int4, SumOrder::pairs}};
constexpr const Kind& kFloat32 = kKinds[0];
constexpr const Kind& kBfloat16Pairs = kKinds[1];
constexpr const Kind& kBfloat16Tiles = kKinds[2];
constexpr const Kind& kInt8 = kKinds[3];
constexpr const Kind& kInt4 = kKinds[4];

// Shapes of which the kernel has other bits than the oracle.
std::vector<std::string> shapes_that_differ(const PackedLinear& kernel, const std::vector<PackedLinearShape>& shapes) {
  std::vector<std::string> result;
  std::uint64_t seed = 0;
  for (const PackedLinearShape& shape : shapes) {
    const PackedLinearCase test(shape, ++seed);
    if (!(test.run(kernel) == test.oracle())) {
      result.push_back(describe(shape));
    }
  }
  return result;
}

std::vector<std::string> shapes_that_differ(const PackedLinear& kernel, const Kind& kind) {
  return shapes_that_differ(kernel, packed_linear_shapes(kind.type, kind.order));
}

const std::vector<std::string> kNone;

class PackedLinearOf : public EveryIsa {
 protected:
  static PackedLinear kernel(const Kind& kind) { return packed_linear(GetParam(), kind.type, kind.order); }
};

TEST_P(PackedLinearOf, hasTheBitsOfTheOracle) {
  for (const Kind& kind : kKinds) {
    EXPECT_EQ(shapes_that_differ(kernel(kind), kind), kNone);
  }
}

TEST_P(PackedLinearOf, aRowDependsOnNoOther) {
  for (const Kind& kind : kKinds) {
    const PackedLinearShape shape{50, 70, 250, kind.type, kind.order, LinearResult::store, GeluForm::erf, true, false};
    const PackedLinearCase test(shape, 1);
    const PackedLinearCase::Result together = test.run(kernel(kind));
    PackedLinearCase::Result alone = test.before();
    for (int t = 0; t < shape.rows; ++t) {
      PackedLinearArgs args = test.args(alone);
      Bytes row(activation_elements(1, shape.inputs) * size_of(args.x.dtype));
      const Activations x{row.data(), args.x.dtype, shape.inputs};
      for (int k = 0; k < shape.inputs; ++k) {
        Output(x.data, x.dtype).set(x.place(0, k), Input(args.x.data, x.dtype).at(args.x.place(t, k)));
      }
      args.x = x;
      args.rows = 1;
      args.y += t * args.y_stride;
      PackedLinearCase::run_blocks(kernel(kind), args);
    }
    EXPECT_TRUE(alone == together) << describe(shape);
  }
}

TEST_P(PackedLinearOf, aRowWithANumberThatIsNoneIsNaNAndNoOtherIs) {
  for (const Kind& kind : {kInt8, kInt4}) {
    for (const int rows : {3, 9, 40}) {
      const PackedLinearShape shape{rows,          70,   250,  kind.type, kind.order, LinearResult::store,
                                    GeluForm::erf, true, false};
      const PackedLinearCase test(shape, 3);
      PackedLinearCase::Result expected = test.run(kernel(kind));
      for (const float bad : {NAN, INFINITY}) {
        PackedLinearCase::Result actual = test.before();
        PackedLinearArgs args = test.args(actual);
        Bytes x(activation_elements(rows, shape.inputs) * size_of(args.x.dtype));
        std::memcpy(x.data(), args.x.data, x.size());
        args.x.data = x.data();
        Output(args.x.data, args.x.dtype).set(args.x.place(1, 77), bad);
        PackedLinearCase::run_blocks(kernel(kind), args);
        for (int t = 0; t < rows; ++t) {
          for (int n = 0; n < shape.outputs; ++n) {
            const std::int64_t i = t * args.y_stride + n;
            EXPECT_TRUE(t == 1 ? std::isnan(args.y[i]) : args.y[i] == test.args(expected).y[i])
                << describe(shape) << ": row " << t << ", output " << n << " is " << args.y[i];
          }
        }
      }
    }
  }
}

TEST_P(PackedLinearOf, theSplitOfTheBlocksChangesNoBit) {
  for (const Kind& kind : kKinds) {
    for (const int rows : {1, 3, 40}) {
      const PackedLinearShape shape{rows,          321,  250,  kind.type, kind.order, LinearResult::gelu,
                                    GeluForm::erf, true, false};
      const PackedLinearCase test(shape, 2);
      const PackedLinearCase::Result whole = test.run(kernel(kind));
      for (const int blocks : {1, 2, 3, 5, 9}) {
        EXPECT_TRUE(test.run(kernel(kind), blocks) == whole) << describe(shape) << ", " << blocks << " blocks at once";
      }
    }
  }
}

// The op without fusion: packs the weights, brings x into tiles.
void run_as_linear(const PackedLinear& kernel, SumOrder order, const LinearArgs& args) {
  const DType dtype = args.x.dtype;
  PackedWeight weight{dtype == DType::float32 ? WeightType::float32 : WeightType::bfloat16, args.outputs, args.inputs,
                      nullptr, args.bias};
  Bytes packed(weight.blocks() * weight.block_bytes());
  pack_outputs(weight, packed.data(), 0, args.outputs, args.weight.data);
  weight.data = packed.data();
  Bytes tiles(activation_elements(args.rows, args.inputs) * size_of(dtype));
  const Activations x{tiles.data(), dtype, args.inputs};
  for (int t = 0; t < args.rows; ++t) {
    for (int k = 0; k < args.inputs; ++k) {
      Output(x.data, dtype).set(x.place(t, k), args.x.at(std::int64_t{t} * args.inputs + k));
    }
  }
  PackedLinearArgs packed_args{};
  packed_args.weight = weight;
  packed_args.order = order;
  packed_args.x = x;
  packed_args.rows = args.rows;
  packed_args.result = LinearResult::store;
  packed_args.y = static_cast<float*>(args.y.data);
  packed_args.y_stride = args.outputs;
  PackedLinearCase::run_blocks(kernel, packed_args);
}

TEST_P(PackedLinearOf, isAsExactAsAnyLinear) {
  for (const Kind& kind : {kFloat32, kBfloat16Pairs, kBfloat16Tiles}) {
    const Conformance result =
        check_linear([&](const LinearArgs& args) { run_as_linear(kernel(kind), kind.order, args); }, Device::cpu,
                     [&](const LinearShape& shape) {
                       return shape.y == DType::float32 &&
                              (shape.inputs_type == DType::float32) == (kind.type == WeightType::float32);
                     });
    EXPECT_TRUE(result.passed()) << result;
  }
}

INSTANTIATE_TEST_SUITE_P(Isas, PackedLinearOf, every_isa(), isa_name);

// On every CPU what the kernels of others have: one to four blocks at once, sums of groups in registers, and not.
struct ManyRegisters : Generic {
  static constexpr int kDotsAtOnce = 16;
  static constexpr int kMostDots = 24;
  static constexpr int kSumsKept = 12;
};

TEST(PackedLinearSkeletons, haveTheBitsOfTheOracleWithManyRegisters) {
  using Sizes = LoopSizes<4, 8, 4, 8192, 8192>;
  using GroupSizes = LoopSizes<6, 12, 4, 8192, 8192, 12>;
  EXPECT_EQ(shapes_that_differ(kernels<VectorLinear<PairSums<Generic>, Sizes>>(), kBfloat16Pairs), kNone);
  EXPECT_EQ(shapes_that_differ(kernels<VectorLinear<GroupSums<ManyRegisters, Int8Groups>, GroupSizes>>(), kInt8),
            kNone);
  EXPECT_EQ(shapes_that_differ(kernels<VectorLinear<GroupSums<ManyRegisters, Int4Groups>, GroupSizes>>(), kInt4),
            kNone);
}

TEST(PackedLinearSkeletons, haveTheBitsOfTheOracleWithFewRegisters) {
  using Sizes = LoopSizes<4, 16, 8, 2048, 4096>;
  EXPECT_EQ(shapes_that_differ(kernels<VectorLinear<GroupSums<Generic, Int8Groups>, Sizes>>(), kInt8), kNone);
  EXPECT_EQ(shapes_that_differ(kernels<VectorLinear<GroupSums<Generic, Int4Groups>, Sizes>>(), kInt4), kNone);
}

TEST(PackedLinearSkeletons, haveTheBitsOfTheOracleOnEmulatedTiles) {
  EXPECT_EQ(shapes_that_differ(kernels<TileLinear<EmulatedTiles, Generic>>(), kBfloat16Tiles), kNone);
  EXPECT_EQ(shapes_that_differ(kernels<GroupTileLinear<EmulatedTiles, Generic, Int8Tiles>>(), kInt8), kNone);
  EXPECT_EQ(shapes_that_differ(kernels<GroupTileLinear<EmulatedTiles, Generic, Int4Tiles>>(), kInt4), kNone);
}

#if defined(__x86_64__)
// What is compiled for AMX, where the CPU has all that it needs beside AMX. The emulation sees that every call releases
// the tiles.
TEST(PackedLinearSkeletons, haveTheBitsOfTheOracleByAmxEmulated) {
  if (cpu_has_amx() || !is_available(Isa::avx512_bf16)) {
    GTEST_SKIP() << "this CPU has AMX, or lacks AVX-512 BF16";
  }
  const AmxEmulation emulation;
  for (const Kind& kind : {kBfloat16Tiles, kInt8, kInt4}) {
    EXPECT_EQ(shapes_that_differ(packed_linear_amx(kind.type), kind), kNone);
  }
}

// Whether this thread's tiles hold data, which the system then saves whenever it takes the CPU away: XGETBV tells of
// every state whether it is in use. For CPUs with AMX.
bool tiles_are_in_use() {
  constexpr unsigned kInUse = 1;
  constexpr int kTileData = 18;
  unsigned low = 0;
  unsigned high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(kInUse) : "memory");
  return (low >> kTileData & 1U) != 0;
}

TEST(PackedLinearOnAmx, everyCallReleasesTheTiles) {
  if (!is_available(Isa::amx)) {
    GTEST_SKIP() << "this CPU does not have amx";
  }
  for (const Kind& kind : {kBfloat16Tiles, kInt8, kInt4}) {
    // Few rows go by vectors, the others by tiles.
    for (const int rows : {1, 100}) {
      const PackedLinearShape shape{rows,          70,   250,  kind.type, kind.order, LinearResult::store,
                                    GeluForm::erf, true, false};
      const PackedLinearCase test(shape, 1);
      test.run(packed_linear_amx(kind.type), 2);
      EXPECT_FALSE(tiles_are_in_use()) << describe(shape);
    }
  }
}
#endif

// ---- mistakes that the shapes have to find ----

struct EvenBeforeOdd : PairSums<Generic> {
  template <int R, int B>
  static void add_tiles(const SumPanel<float>& panel) {
    auto sum = Accumulators<Generic, R, B>::load(panel);
    for (int k = 0; k < panel.tiles * kTileInputs; k += 2) {
      const std::uint8_t* weight = panel.weight + k * 32;
      const float* x = panel.x + k / kTileInputs * R * kTileInputs + k % kTileInputs;
      const auto pairs = [&](int b) { return Generic::load_pairs(weight + b * panel.block_bytes); };
      sum.add_products(x, [&](int b) { return Generic::even(pairs(b)); });
      sum.add_products(x + 1, [&](int b) { return Generic::odd(pairs(b)); });
    }
    sum.store(panel);
  }
};

TEST(PackedLinearMistakes, aSwapOfTheTwoMultiplyAddsOfAPairIsFound) {
  EXPECT_GT(
      shapes_that_differ(kernels<VectorLinear<EvenBeforeOdd, LoopSizes<1, 1, 8, 4096, 4096>>>(), kBfloat16Pairs).size(),
      60U);
}

TEST(PackedLinearMistakes, theOtherOrderIsFound) {
  EXPECT_GT(
      shapes_that_differ(packed_linear(Isa::generic, kBfloat16Pairs.type, SumOrder::tiles), kBfloat16Pairs).size(),
      60U);
  EXPECT_GT(
      shapes_that_differ(packed_linear(Isa::generic, kBfloat16Tiles.type, SumOrder::pairs), kBfloat16Tiles).size(),
      60U);
}

#if defined(__x86_64__)
template <class Linear>
struct KeepsDenormals : Linear {
  static void run(const PackedLinearArgs& args, int first_block, int last_block, void* scratch) {
    constexpr unsigned kFlushToZeroAndDenormalsAreZero = 0x8040;
    const unsigned before = _mm_getcsr();
    _mm_setcsr(before & ~kFlushToZeroAndDenormalsAreZero);
    Linear::run(args, first_block, last_block, scratch);
    _mm_setcsr(before);
  }
};

// Of 15 shapes.
TEST(PackedLinearMistakes, denormalsThatAreNotFlushedAreFound) {
  using Sizes = LoopSizes<4, 4, 8, 4096, 8192>;
  const auto found = [](const PackedLinear& kernel, const Kind& kind) {
    return shapes_that_differ(kernel, tiny_packed_linear_shapes(kind.type, kind.order)).size();
  };
  EXPECT_GT(found(kernels<KeepsDenormals<VectorLinear<Float32Sums<Generic>, Sizes>>>(), kFloat32), 8U);
  EXPECT_GT(found(kernels<KeepsDenormals<VectorLinear<PairSums<Generic>, Sizes>>>(), kBfloat16Pairs), 8U);
  EXPECT_GT(found(kernels<KeepsDenormals<VectorLinear<TileSums<Generic>, Sizes>>>(), kBfloat16Tiles), 8U);
  EXPECT_GT(found(kernels<KeepsDenormals<VectorLinear<GroupSums<Generic, Int8Groups>, Sizes>>>(), kInt8), 8U);
  EXPECT_GT(found(kernels<KeepsDenormals<VectorLinear<GroupSums<Generic, Int4Groups>, Sizes>>>(), kInt4), 8U);
}
#endif

// ---- the layout ----

TEST(PackOutputs, putsEveryNumberWhereTheLayoutSays) {
  const int outputs = 35;
  const int inputs = 45;
  for (const WeightType type : {WeightType::float32, WeightType::bfloat16}) {
    const DType dtype = type == WeightType::float32 ? DType::float32 : DType::bfloat16;
    std::vector<float> numbers(outputs * inputs);
    for (int i = 0; i < outputs * inputs; ++i) {
      numbers[i] = static_cast<float>(i % 251 + 1);
    }
    const Buffer rows(numbers, dtype);
    const PackedWeight weight{type, outputs, inputs, nullptr, nullptr};
    Bytes packed(weight.blocks() * weight.block_bytes());
    pack_outputs(weight, packed.data(), 0, outputs, rows.input().data);
    const Input all(packed.data(), dtype);
    for (int n = 0; n < weight.blocks() * kBlockOutputs; ++n) {
      for (int k = 0; k < weight.padded_inputs(); ++k) {
        const int block = n / 16 * 16 * weight.padded_inputs();
        const int place = type == WeightType::float32 ? k * 16 + n % 16 : k / 2 * 32 + n % 16 * 2 + k % 2;
        const float expected = n < outputs && k < inputs ? numbers[n * inputs + k] : 0.0F;
        ASSERT_EQ(all.at(block + place), expected) << "output " << n << ", input " << k;
      }
    }
  }
}

TEST(PackOutputs, inPiecesGivesTheSameBytes) {
  const int outputs = 100;
  const int inputs = 33;
  const Buffer rows(Random(3).normals(outputs * inputs), DType::bfloat16);
  const PackedWeight weight{WeightType::bfloat16, outputs, inputs, nullptr, nullptr};
  Bytes whole(weight.blocks() * weight.block_bytes());
  Bytes pieces(weight.blocks() * weight.block_bytes());
  pack_outputs(weight, whole.data(), 0, outputs, rows.input().data);
  int first = 0;
  for (const int count : {5, 1, 26, 16, 40, 12}) {
    pack_outputs(weight, pieces.data(), first, count, static_cast<const bfloat16*>(rows.input().data) + first * inputs);
    first += count;
  }
  ASSERT_EQ(first, outputs);
  EXPECT_EQ(std::memcmp(whole.data(), pieces.data(), whole.size()), 0);
}

// Made of whole numbers, so that no C library's functions show in the bits. Rows are of different sizes, one is all
// zeros, one so small that int8 and int4 take it for zeros, and one has a number that is much larger than the others.
std::vector<float> fixed_matrix(int outputs, int inputs) {
  constexpr float kSizes[] = {1, 0x1p-6F, 0x1p-12F, 8, 0, 0x1p-110F, 0x1p-3F};
  constexpr int kNumberBits = 24;
  Random random(1);
  std::vector<float> numbers;
  for (int n = 0; n < outputs; ++n) {
    for (int k = 0; k < inputs; ++k) {
      const int number = static_cast<int>(random.next() >> (64 - kNumberBits)) - (1 << (kNumberBits - 1));
      numbers.push_back(static_cast<float>(number) * 0x1p-23F * kSizes[n % 7]);
    }
  }
  numbers[6 * inputs + 100] = 40;
  return numbers;
}

std::uint64_t hash_of(const Bytes& bytes) { return fnv1a(bytes.data(), bytes.size()); }

using PackOutputsOn = EveryIsa;
INSTANTIATE_TEST_SUITE_P(Isas, PackOutputsOn, every_isa(), isa_name);

TEST_P(PackOutputsOn, givesTheBytesThatItsVersionHasAlwaysHad) {
  constexpr std::uint32_t kVersion = 3;
  const struct {
    const char* name;
    WeightType type;
    std::uint64_t hash;
  } all[] = {{"float32", WeightType::float32, 0xb752507d46be0191U},
             {"bfloat16", WeightType::bfloat16, 0x97c0a36469fb664bU},
             {"int8", WeightType::int8, 0xd373fc60e9a13738U},
             {"int4", WeightType::int4, 0x265a8dad99844e65U}};
  ASSERT_EQ(kPackedVersion, kVersion) << "packed weights have a new version: put it and its hashes here";
  const ForcedIsa forced(GetParam());
  for (const auto& expected : all) {
    const PackedWeight weight{expected.type, 35, 200, nullptr, nullptr};
    const Buffer rows(fixed_matrix(weight.outputs, weight.inputs),
                      expected.type == WeightType::bfloat16 ? DType::bfloat16 : DType::float32);
    Bytes packed(weight.blocks() * weight.block_bytes());
    pack_outputs(weight, packed.data(), 0, weight.outputs, rows.input().data);
    EXPECT_EQ(hash_of(packed), expected.hash)
        << "The bytes of packed " << expected.name << " weights have changed. Raise kPackedVersion "
        << "(ops/packed_linear.h), else files packed before are read as if they were of today; then put the hash 0x"
        << std::hex << hash_of(packed) << " here.";
  }
}

}  // namespace
}  // namespace dolly4j::test
