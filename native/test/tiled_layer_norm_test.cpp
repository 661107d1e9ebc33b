#include "ops/tiled_layer_norm.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include "conformance.h"
#include "cpu/flush_denormals.h"
#include "every_isa.h"
#include "guarded_memory.h"
#include "random.h"

namespace dolly4j::test {
namespace {

// Activations that hold a pattern no result has, so that what a kernel wrote can be told from what it left.
class Tiles {
 public:
  Tiles(int rows, int inputs, DType dtype)
      : rows_(rows),
        dtype_(dtype),
        inputs_(inputs),
        memory_(static_cast<std::size_t>(activation_elements(rows, inputs)) * size_of(dtype) / sizeof(std::uint16_t)) {
    std::fill(memory_.data(), memory_.data() + memory_.size(), kUntouched);
  }

  Activations activations() { return {memory_.data(), dtype_, inputs_}; }
  float at(int row, int input) {
    const Activations tiles = activations();
    return Input(tiles.data, tiles.dtype).at(tiles.place(row, input));
  }
  bool untouched(std::int64_t place) {
    const int halves = size_of(dtype_) / 2;
    for (int i = 0; i < halves; i++) {
      if (memory_[place * halves + i] != kUntouched) {
        return false;
      }
    }
    return true;
  }
  std::int64_t places() const { return activation_elements(rows_, inputs_); }

  // Whether all else but [first, last) x inputs is as it was.
  bool holds_only_rows(int first, int last) {
    std::vector<bool> result(static_cast<std::size_t>(places()));
    for (int t = first; t < last; t++) {
      for (int i = 0; i < inputs_; i++) {
        result[static_cast<std::size_t>(activations().place(t, i))] = true;
      }
    }
    for (std::int64_t place = 0; place < places(); place++) {
      if (!result[static_cast<std::size_t>(place)] && !untouched(place)) {
        return false;
      }
    }
    return true;
  }
  bool operator==(const Tiles& other) const {
    return std::memcmp(memory_.data(), other.memory_.data(), memory_.size() * sizeof(std::uint16_t)) == 0;
  }

 private:
  static constexpr std::uint16_t kUntouched = 0x7fa5;  // a NaN in both types

  int rows_;
  DType dtype_;
  int inputs_;
  GuardedMemory<std::uint16_t> memory_;
};

// The arithmetic of tiled_layer_norm.h, one number after the other.
float sum_of_lanes(const float (&lanes)[16]) {
  float sums[16];
  std::copy(lanes, lanes + 16, sums);
  for (int half = 8; half > 0; half /= 2) {
    for (int i = 0; i < half; i++) {
      sums[i] = sums[i] + sums[i + half];
    }
  }
  return sums[0];
}

std::vector<float> normalised(const float* x, const float* gamma, const float* beta, int hidden, float epsilon) {
  float sums[16] = {};
  for (int i = 0; i < hidden; i++) {
    sums[i % 16] += x[i];
  }
  const float mean = sum_of_lanes(sums) / static_cast<float>(hidden);
  float squares[16] = {};
  for (int i = 0; i < hidden; i++) {
    const float d = x[i] - mean;
    squares[i % 16] = std::fma(d, d, squares[i % 16]);
  }
  const float variance = sum_of_lanes(squares) / static_cast<float>(hidden);
  const float scale = 1 / std::sqrt(variance + epsilon);
  std::vector<float> y;
  for (int i = 0; i < hidden; i++) {
    y.push_back(std::fma((x[i] - mean) * scale, gamma[i], beta[i]));
  }
  return y;
}

// Operands of exact size: x of `rows` rows, and two norms.
struct Operands {
  Operands(int rows, int hidden, std::uint64_t seed)
      : x(Random(seed).normals(std::int64_t{rows} * hidden, 3, 1)),
        gamma{GuardedMemory<float>(Random(seed + 1).normals(hidden)),
              GuardedMemory<float>(Random(seed + 2).normals(hidden))},
        beta{GuardedMemory<float>(Random(seed + 3).normals(hidden)),
             GuardedMemory<float>(Random(seed + 4).normals(hidden))} {}

  GuardedMemory<float> x;
  GuardedMemory<float> gamma[2];
  GuardedMemory<float> beta[2];
};

constexpr float kEpsilon = 1e-5F;

using TiledLayerNorm = EveryIsa;
INSTANTIATE_TEST_SUITE_P(Isas, TiledLayerNorm, every_isa(), isa_name);

TEST_P(TiledLayerNorm, passesTheCasesOfTheOp) {
  const Conformance result = check_layer_norm(
      [](const LayerNormArgs& args) {
        std::vector<Tiles> tiles;
        std::vector<TiledNormOutput> norms;
        for (int n = 0; n < args.norm_count; n++) {
          tiles.emplace_back(args.rows, args.hidden_size, args.norms[n].y.dtype);
          norms.push_back({args.norms[n].gamma, args.norms[n].beta, tiles.back().activations()});
        }
        tiled_layer_norm(GetParam())({args.x, nullptr, norms.data(), args.norm_count, args.hidden_size, args.epsilon},
                                     0, args.rows);
        for (int n = 0; n < args.norm_count; n++) {
          for (int t = 0; t < args.rows; t++) {
            for (int i = 0; i < args.hidden_size; i++) {
              args.norms[n].y.set(std::int64_t{t} * args.hidden_size + i, tiles[n].at(t, i));
            }
          }
        }
      },
      Device::cpu);
  EXPECT_TRUE(result.passed()) << result;
}

TEST_P(TiledLayerNorm, hasTheBitsOfTheArithmeticItsHeaderGives) {
  const FlushDenormals flush;
  for (const int hidden : {1, 7, 15, 16, 17, 31, 32, 33, 60, 64, 321, 2560}) {
    for (const DType first_type : {DType::float32, DType::bfloat16}) {
      const int rows = 19;
      Operands operands(rows, hidden, hidden);
      Tiles first(rows, hidden, first_type);
      Tiles second(rows, hidden, DType::bfloat16);
      const TiledNormOutput norms[] = {{operands.gamma[0].data(), operands.beta[0].data(), first.activations()},
                                       {operands.gamma[1].data(), operands.beta[1].data(), second.activations()}};
      tiled_layer_norm(GetParam())({operands.x.data(), nullptr, norms, 2, hidden, kEpsilon}, 0, rows);
      for (int t = 0; t < rows; t++) {
        for (int n = 0; n < 2; n++) {
          Tiles& tiles = n == 0 ? first : second;
          const std::vector<float> y =
              normalised(operands.x.data() + t * hidden, norms[n].gamma, norms[n].beta, hidden, kEpsilon);
          for (int i = 0; i < hidden; i++) {
            const float expected = tiles.activations().dtype == DType::float32 ? y[i] : to_float(to_bfloat16(y[i]));
            ASSERT_EQ(tiles.at(t, i), expected) << "hidden " << hidden << ", row " << t << ", column " << i;
          }
        }
      }
      EXPECT_TRUE(first.holds_only_rows(0, rows)) << hidden;
      EXPECT_TRUE(second.holds_only_rows(0, rows)) << hidden;
    }
  }
}

TEST_P(TiledLayerNorm, takesTheRowsOfTheListAndWritesThoseFromFirstToLastOnly) {
  const int hidden = 60;
  const std::vector<std::int32_t> rows = {4, 0, 4, 2, 1};
  Operands operands(5, hidden, 1);
  Tiles tiles(5, hidden, DType::float32);
  const TiledNormOutput norm = {operands.gamma[0].data(), operands.beta[0].data(), tiles.activations()};
  tiled_layer_norm(GetParam())({operands.x.data(), rows.data(), &norm, 1, hidden, kEpsilon}, 1, 4);
  EXPECT_TRUE(tiles.holds_only_rows(1, 4));
  for (int t = 1; t < 4; t++) {
    const std::vector<float> y =
        normalised(operands.x.data() + rows[t] * hidden, norm.gamma, norm.beta, hidden, kEpsilon);
    for (int i = 0; i < hidden; i++) {
      EXPECT_EQ(tiles.at(t, i), y[i]) << t << " " << i;
    }
  }
}

TEST_P(TiledLayerNorm, hasTheBitsOfGenericOnAnyNumbers) {
  const FlushDenormals flush;
  Random random(2);
  const int hidden = 60;
  const int rows = 200;
  for (const DType dtype : {DType::float32, DType::bfloat16}) {
    Operands operands(rows, hidden, 3);
    for (std::size_t i = 0; i < operands.x.size(); i++) {
      // A row's numbers are near one exponent, from denormals to those whose squares overflow.
      const int exponent = -149 + static_cast<int>(i) / hidden * 276 / rows;
      operands.x[i] = static_cast<float>(std::ldexp(static_cast<double>(random.normal()), exponent));
    }
    Tiles actual(rows, hidden, dtype);
    Tiles expected(rows, hidden, dtype);
    for (Tiles* tiles : {&actual, &expected}) {
      const TiledNormOutput norm = {operands.gamma[0].data(), operands.beta[0].data(), tiles->activations()};
      tiled_layer_norm(tiles == &actual ? GetParam() : Isa::generic)(
          {operands.x.data(), nullptr, &norm, 1, hidden, kEpsilon}, 0, rows);
    }
    EXPECT_TRUE(actual == expected);
  }
}

TEST_P(TiledLayerNorm, aNaNStaysInItsRowAndOutOfThePadding) {
  const int hidden = 60;
  Operands operands(3, hidden, 4);
  operands.x[hidden + 7] = std::numeric_limits<float>::quiet_NaN();
  for (const DType dtype : {DType::float32, DType::bfloat16}) {
    Tiles tiles(3, hidden, dtype);
    const TiledNormOutput norm = {operands.gamma[0].data(), operands.beta[0].data(), tiles.activations()};
    tiled_layer_norm(GetParam())({operands.x.data(), nullptr, &norm, 1, hidden, kEpsilon}, 0, 3);
    EXPECT_TRUE(tiles.holds_only_rows(0, 3));
    for (int i = 0; i < hidden; i++) {
      EXPECT_FALSE(std::isnan(tiles.at(0, i)));
      EXPECT_TRUE(std::isnan(tiles.at(1, i)));
      EXPECT_FALSE(std::isnan(tiles.at(2, i)));
    }
  }
}

}  // namespace
}  // namespace dolly4j::test
