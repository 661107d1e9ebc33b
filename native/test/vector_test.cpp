#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "cpu/float16.h"
#include "cpu/flush_denormals.h"
#include "every_isa.h"
#include "guarded_memory.h"
#include "random.h"
#include "vector/vector_functions.h"

namespace dolly4j::test {
namespace {

std::uint32_t bits_of(float number) {
  std::uint32_t bits;
  std::memcpy(&bits, &number, sizeof bits);
  return bits;
}

float from_bits(std::uint64_t bits) {
  const auto low = static_cast<std::uint32_t>(bits);
  float number;
  std::memcpy(&number, &low, sizeof number);
  return number;
}

constexpr float kInfinity = std::numeric_limits<float>::infinity();

const std::vector<float>& special_numbers() {
  static const std::vector<float> numbers = {
      0.0F,
      -0.0F,
      1.0F,
      -1.0F,
      0.5F,
      2.5F,
      kInfinity,
      -kInfinity,
      from_bits(0x7fc00000),  // quiet NaN
      from_bits(0xffc12345),
      from_bits(0x7f812345),  // signalling NaN
      from_bits(0x00000001),  // the smallest denormal
      from_bits(0x807fffff),  // the largest
      from_bits(0x00800000),  // the smallest normal number
      from_bits(0x7f7fffff),  // the largest
      from_bits(0xff7fffff),
      from_bits(0x3f808000),  // halfway between two numbers of bfloat16, below an even and an odd one
      from_bits(0x3f818000),
      from_bits(0x7f7f8000),  // rounds to infinity in bfloat16
      8388607.5F,
      -88.0F,
  };
  return numbers;
}

// Any number: special, of any bits, or of usual size.
float any_number(Random& random) {
  switch (random.below(3)) {
    case 0:
      return special_numbers()[random.below(static_cast<int>(special_numbers().size()))];
    case 1:
      return from_bits(random.next());
    default:
      return random.normal();
  }
}

VectorOperands any_operands(Random& random) {
  VectorOperands operands;
  for (int i = 0; i < kVectorLanes; i++) {
    operands.a[i] = any_number(random);
    operands.b[i] = any_number(random);
    operands.c[i] = any_number(random);
    do {
      operands.small[i] = random.below(2) == 0 ? any_number(random) : static_cast<float>(random.below(64) - 32) / 2;
    } while (!(std::abs(operands.small[i]) < 0x1p22F));
    operands.power[i] = static_cast<float>(random.below(254) - 126);
    for (bfloat16& number : operands.pairs[i]) {
      number = {static_cast<std::uint16_t>(random.next())};
    }
    operands.byte[i] = static_cast<float>(random.below(256) - 128);
    operands.numbers[i] = static_cast<std::int8_t>(random.below(4) == 0 ? 127 : random.below(255) - 127);
    operands.integers[i] = random.below(1 << 25) - (1 << 24);
    for (std::uint8_t& number : operands.quads[i]) {
      number = static_cast<std::uint8_t>(random.below(4) == 0 ? 255 : random.next());
    }
  }
  operands.count = random.below(kVectorLanes + 1);
  return operands;
}

void expect_agreement(float actual, float expected, Agreement agreement, const char* function, int lane) {
  if (agreement != Agreement::bits && std::isnan(actual) && std::isnan(expected)) {
    return;
  }
  const auto bits = [&](float number) {
    const std::uint32_t all = bits_of(number);
    return agreement == Agreement::chosen && (all & 0x7f800000U) == 0 ? all & 0x80000000U : all;
  };
  EXPECT_EQ(bits(actual), bits(expected))
      << function << ", lane " << lane << ": " << actual << " instead of " << expected;
}

void expect_generic_bits(Isa isa, const VectorOperands& operands) {
  VectorResults actual;
  VectorResults expected;
  vector_functions(isa).all(operands, actual);
  vector_functions(Isa::generic).all(operands, expected);
  ASSERT_EQ(actual.count, expected.count);
  for (int i = 0; i < expected.count; i++) {
    const VectorResult& result = expected.result[i];
    for (int lane = 0; lane < kVectorLanes; lane++) {
      expect_agreement(actual.result[i].lanes[lane], result.lanes[lane], result.agreement, result.function, lane);
    }
  }
  for (int lane = 0; lane < kVectorLanes; lane++) {
    EXPECT_EQ(actual.stored[lane].bits, expected.stored[lane].bits)
        << operands.a[lane] << " (" << std::hex << bits_of(operands.a[lane]) << ") stored as bfloat16";
    EXPECT_EQ(actual.stored_bytes[lane], expected.stored_bytes[lane]) << operands.byte[lane] << " stored as int8";
  }
  EXPECT_EQ(std::memcmp(actual.stored_quads, expected.stored_quads, sizeof actual.stored_quads), 0);
}

using Vector = EveryIsa;
INSTANTIATE_TEST_SUITE_P(Isas, Vector, every_isa(), isa_name);

constexpr int kRandomCases = 20000;

TEST_P(Vector, everyFunctionHasTheBitsOfGeneric) {
  Random random(1);
  for (int i = 0; i < kRandomCases && !HasFailure(); i++) {
    expect_generic_bits(GetParam(), any_operands(random));
  }
}

TEST_P(Vector, everyFunctionHasTheBitsOfGenericWhereDenormalsAreFlushed) {
  const FlushDenormals flush;
  Random random(2);
  for (int i = 0; i < kRandomCases && !HasFailure(); i++) {
    expect_generic_bits(GetParam(), any_operands(random));
  }
}

// Generic itself, by the C library.
TEST(GenericVector, computesWhatItsNamesSay) {
  Random random(3);
  for (int i = 0; i < kRandomCases / 10 && !HasFailure(); i++) {
    const VectorOperands operands = any_operands(random);
    VectorResults results;
    vector_functions(Isa::generic).all(operands, results);
    for (int r = 0; r < results.count; r++) {
      const VectorResult& result = results.result[r];
      const std::string function = result.function;
      for (int lane = 0; lane < kVectorLanes; lane++) {
        const float a = operands.a[lane];
        const float b = operands.b[lane];
        const float c = operands.c[lane];
        const auto expect = [&](const char* name, float expected) {
          if (function == name) {
            expect_agreement(result.lanes[lane], expected, result.agreement, name, lane);
          }
        };
        expect("zero", 0);
        expect("set", operands.a[0]);
        expect("broadcast", operands.a[0]);
        expect("load", a);
        expect("load bfloat16", to_float(operands.pairs[lane / 2][lane % 2]));
        expect("even", to_float(operands.pairs[lane][0]));
        expect("odd", to_float(operands.pairs[lane][1]));
        expect("load int32", static_cast<float>(operands.integers[lane]));
        expect("load float16", to_float(float16{operands.pairs[lane / 2][lane % 2].bits}));
        int dot = 0;
        for (int first = 0; first < 8; first += 2) {
          for (int j = 0; j < 4; ++j) {
            dot += operands.quads[lane][j] % 16 * operands.numbers[first + j];
            dot += operands.quads[lane][j] / 16 * operands.numbers[first + 4 + j];
          }
        }
        expect("dot", static_cast<float>(dot));
        dot = -64 * 127 * 128;
        for (int j = 0; j < 16; ++j) {
          dot += operands.quads[lane][j % 4] * operands.numbers[j];
        }
        expect("dot of bytes", static_cast<float>(dot));
        expect("abs", std::abs(a));
        expect("where_less", a < b ? b : c);
        expect("first", lane < operands.count ? a : b);
        expect("power_of_two", std::ldexp(1.0F, static_cast<int>(operands.power[lane])));
        expect("add", a + b);
        expect("sub", a - b);
        expect("mul", a * b);
        expect("div", a / b);
        expect("fma", std::fma(a, b, c));
        expect("fnma", std::fma(-a, b, c));
        expect("sqrt", std::sqrt(a));
        expect("max", a > b ? a : b);
        expect("min", a < b ? a : b);
        expect("round", std::nearbyint(operands.small[lane]));
      }
    }
    for (int lane = 0; lane < kVectorLanes; lane++) {
      EXPECT_EQ(results.stored[lane].bits, to_bfloat16(operands.a[lane]).bits);
      EXPECT_EQ(results.stored_bytes[lane], operands.byte[lane]);
      EXPECT_EQ(results.stored_quads[4 * lane + 1], operands.quads[lane][1] / 16);
    }
  }
}

TEST_P(Vector, sumIsThatOfTheTree) {
  Random random(4);
  for (int i = 0; i < 1000; i++) {
    VectorOperands operands = any_operands(random);
    float sums[kVectorLanes];
    for (int lane = 0; lane < kVectorLanes; lane++) {
      operands.a[lane] = random.normal();
      sums[lane] = operands.a[lane];
    }
    for (int half = kVectorLanes / 2; half > 0; half /= 2) {
      for (int lane = 0; lane < half; lane++) {
        sums[lane] += sums[lane + half];
      }
    }
    VectorResults results;
    vector_functions(GetParam()).all(operands, results);
    const VectorResult& last = results.result[results.count - 1];
    ASSERT_STREQ(last.function, "sum");
    EXPECT_EQ(last.lanes[0], sums[0]);
  }
}

TEST_P(Vector, largestIsTheLargestLane) {
  Random random(5);
  for (int i = 0; i < 1000; i++) {
    float x[kVectorLanes];
    for (float& number : x) {
      do {
        number = any_number(random);
      } while (std::isnan(number));
    }
    EXPECT_EQ(vector_functions(GetParam()).largest(x), *std::max_element(x, x + kVectorLanes));
  }
}

TEST_P(Vector, loadFirstTakesSoManyNumbersZeroesTheOthersAndReadsNothingBeyond) {
  Random random(6);
  for (int count = 1; count <= kVectorLanes; count++) {
    GuardedMemory<float> floats(random.normals(count));
    GuardedMemory<bfloat16> bfloats(count);
    for (int i = 0; i < count; i++) {
      bfloats[i] = to_bfloat16(random.normal());
    }
    float actual[kVectorLanes];
    vector_functions(GetParam()).load_first(floats.data(), count, actual);
    for (int i = 0; i < kVectorLanes; i++) {
      EXPECT_EQ(bits_of(actual[i]), bits_of(i < count ? floats[i] : 0)) << count << " " << i;
    }
    vector_functions(GetParam()).load_first_bfloat16(bfloats.data(), count, actual);
    for (int i = 0; i < kVectorLanes; i++) {
      EXPECT_EQ(bits_of(actual[i]), bits_of(i < count ? to_float(bfloats[i]) : 0)) << count << " " << i;
    }
  }
}

TEST_P(Vector, storeFirstWritesSoManyNumbersAndTouchesNothingBeyond) {
  Random random(7);
  const std::vector<float> numbers = random.normals(kVectorLanes);
  for (int count = 1; count <= kVectorLanes; count++) {
    GuardedMemory<float> exact(count);
    GuardedMemory<bfloat16> exact_bfloats(count);
    vector_functions(GetParam()).store_first(exact.data(), numbers.data(), count);
    vector_functions(GetParam()).store_first_bfloat16(exact_bfloats.data(), numbers.data(), count);

    std::vector<float> floats(kVectorLanes, 7);
    std::vector<bfloat16> bfloats(kVectorLanes, to_bfloat16(7));
    vector_functions(GetParam()).store_first(floats.data(), numbers.data(), count);
    vector_functions(GetParam()).store_first_bfloat16(bfloats.data(), numbers.data(), count);
    for (int i = 0; i < kVectorLanes; i++) {
      EXPECT_EQ(floats[i], i < count ? numbers[i] : 7) << count << " " << i;
      EXPECT_EQ(bfloats[i].bits, to_bfloat16(i < count ? numbers[i] : 7).bits) << count << " " << i;
      if (i < count) {
        EXPECT_EQ(exact[i], numbers[i]);
        EXPECT_EQ(exact_bfloats[i].bits, to_bfloat16(numbers[i]).bits);
      }
    }
  }
}

}  // namespace
}  // namespace dolly4j::test
