// Operands of packed_linear.h at random, odd shapes, and ways to run a kernel on them.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <sstream>
#include <string>
#include <vector>

#include "buffer.h"
#include "cpu/flush_denormals.h"
#include "guarded_memory.h"
#include "ops/packed_linear.h"
#include "random.h"

namespace dolly4j::test {

// tiny: rows of x and outputs are each of another size, many of them so small that products, sums and results are about
// the least normal number; some operands are denormal themselves.
enum class Operands { normal, tiny };

struct PackedLinearShape {
  int rows;
  int outputs;
  int inputs;
  WeightType type;
  SumOrder order;
  LinearResult result;
  GeluForm gelu;
  bool bias;
  bool addend;
  Operands operands = Operands::normal;
};

inline std::string describe(const PackedLinearShape& shape) {
  constexpr const char* kTypes[] = {"float32", "bfloat16", "int8", "int4"};
  constexpr const char* kResults[] = {"store", "gelu", "add"};
  std::ostringstream text;
  text << "rows " << shape.rows << ", outputs " << shape.outputs << ", inputs " << shape.inputs << ", "
       << kTypes[static_cast<int>(shape.type)] << (shape.order == SumOrder::pairs ? " in pairs, " : " in tiles, ")
       << kResults[static_cast<int>(shape.result)] << (shape.bias ? ", bias" : "") << (shape.addend ? ", addend" : "")
       << (shape.operands == Operands::tiny ? ", tiny" : "");
  return text.str();
}

inline std::vector<PackedLinearShape> tiny_packed_linear_shapes(WeightType type, SumOrder order) {
  std::vector<PackedLinearShape> shapes;
  for (const int count : {1, 3, 9, 17, 40}) {
    for (const LinearResult result : {LinearResult::store, LinearResult::gelu, LinearResult::add}) {
      const bool bias = result != LinearResult::store;
      const bool addend = result == LinearResult::add;
      shapes.push_back(
          {count, 100, count % 2 == 0 ? 60 : 250, type, order, result, GeluForm::erf, bias, addend, Operands::tiny});
    }
  }
  return shapes;
}

// Every number of rows with some of the sizes; the results take turns.
inline std::vector<PackedLinearShape> packed_linear_shapes(WeightType type, SumOrder order) {
  constexpr int kOutputs[] = {1, 7, 16, 321};
  constexpr int kInputs[] = {1, 24, 60, 64, 250, 320};
  std::vector<int> rows = {100, 131, 257};
  for (int count = 1; count <= 40; ++count) {
    rows.push_back(count);
  }
  std::vector<PackedLinearShape> shapes;
  for (const int count : rows) {
    for (int i = 0; i < 4; ++i) {
      const int turn = static_cast<int>(shapes.size());
      const auto result = static_cast<LinearResult>(turn % 3);
      const bool addend = result == LinearResult::add && turn % 2 == 0;
      shapes.push_back({count, kOutputs[i], kInputs[(count + i * 5) % 6], type, order, result,
                        turn % 4 < 2 ? GeluForm::erf : GeluForm::tanh, turn % 5 < 3, addend});
    }
  }
  // More inputs than a chunk holds, with rows beyond it; of the last shapes more than any, also the last one not full,
  // and more blocks than a band.
  shapes.push_back({3, 48, 1060, type, order, LinearResult::store, GeluForm::erf, true, false});
  shapes.push_back({9, 48, 1060, type, order, LinearResult::add, GeluForm::erf, true, false});
  shapes.push_back({40, 33, 1060, type, order, LinearResult::store, GeluForm::erf, true, false});
  shapes.push_back({500, 17, 1060, type, order, LinearResult::store, GeluForm::erf, true, false});
  shapes.push_back({40, 33, 1400, type, order, LinearResult::add, GeluForm::erf, true, true});
  shapes.push_back({33, 321, 1400, type, order, LinearResult::store, GeluForm::erf, false, false});
  shapes.push_back({300, 17, 2600, type, order, LinearResult::gelu, GeluForm::erf, true, false});
  // More bytes than a strip of rows has, of bfloat16 and float32.
  shapes.push_back({220, 17, 10240, type, order, LinearResult::store, GeluForm::erf, true, false});
  for (const PackedLinearShape& shape : tiny_packed_linear_shapes(type, order)) {
    shapes.push_back(shape);
  }
  return shapes;
}

// Bytes of operands; what lies behind them can not be touched. 64-byte aligned if they are a multiple of 64.
using Bytes = GuardedMemory<std::uint8_t>;

class PackedLinearCase {
 public:
  PackedLinearCase(const PackedLinearShape& shape, std::uint64_t seed)
      : shape_(shape),
        dtype_(shape.type == WeightType::float32 ? DType::float32 : DType::bfloat16),
        stride_(shape.outputs + 3),
        random_(seed),
        bias_(random_.normals(shape.outputs, deviation())),
        weight_{shape.type, shape.outputs, shape.inputs, nullptr, shape.bias ? bias_.data() : nullptr},
        packed_(weight_.blocks() * weight_.block_bytes()),
        x_(tiles(shape.inputs)),
        y_(random_.normals(numbers_of_y(), deviation())),
        addend_(random_.normals(numbers_of_y(), deviation())) {
    std::vector<float> numbers =
        random_.normals(std::int64_t{shape.outputs} * shape.inputs, 1 / std::sqrt(static_cast<float>(shape.inputs)));
    for (int n = 0; n < shape.outputs; ++n) {
      const float size = any_size(kOutputExponents);
      for (int k = 0; k < shape.inputs; ++k) {
        numbers[n * shape.inputs + k] *= size;
      }
    }
    const Buffer rows(numbers, shape.type == WeightType::bfloat16 ? DType::bfloat16 : DType::float32);
    pack_outputs(weight_, packed_.data(), 0, shape.outputs, rows.input().data);
    weight_.data = packed_.data();
    const Activations x = args_of(x_, shape.inputs);
    for (int t = 0; t < shape.rows; ++t) {
      const float size = any_size(kRowExponents);
      for (int k = 0; k < shape.inputs; ++k) {
        Output(x.data, x.dtype).set(x.place(t, k), random_.normal() * size);
      }
    }
  }

  // What the op writes to, all of it: also what it has to leave alone.
  struct Result {
    GuardedMemory<float> y;
    Bytes activated;

    bool operator==(const Result& other) const {
      return std::memcmp(y.data(), other.y.data(), y.size() * sizeof(float)) == 0 &&
             std::memcmp(activated.data(), other.activated.data(), activated.size()) == 0;
    }
  };

  Result before() const { return {GuardedMemory<float>(y_), tiles(shape_.outputs)}; }

  PackedLinearArgs args(Result& result) const {
    PackedLinearArgs args{};
    args.weight = weight_;
    args.order = shape_.order;
    args.x = args_of(x_, shape_.inputs);
    args.rows = shape_.rows;
    args.result = shape_.result;
    args.y = result.y.data();
    args.y_stride = stride_;
    args.addend = shape_.addend ? addend_.data() : nullptr;
    args.gelu = shape_.gelu;
    args.activated = args_of(result.activated, shape_.outputs);
    return args;
  }

  Result oracle() const {
    Result result = before();
    packed_linear_oracle(args(result));
    return result;
  }

  // By a kernel, so many blocks at a time.
  Result run(const PackedLinear& kernel, int blocks_at_once = 1 << 20) const {
    Result result = before();
    run_blocks(kernel, args(result), blocks_at_once);
    return result;
  }

  static void run_blocks(const PackedLinear& kernel, PackedLinearArgs args, int blocks_at_once = 1 << 20) {
    const FlushDenormals flush;
    Bytes prepared(rounded(kernel.prepared_bytes(args.rows, args.weight.inputs)));
    std::memset(prepared.data(), 0xff, prepared.size());  // NaN
    args.prepared = prepared.data();
    // In parts, as threads do it.
    for (int row = args.rows; row > 0; row -= kPreparedAtOnce) {
      kernel.prepare(args, std::max(row - kPreparedAtOnce, 0), row);
    }
    for (int block = 0; block < args.weight.blocks(); block += blocks_at_once) {
      Bytes scratch(rounded(kernel.scratch_bytes(args.rows)));
      std::memset(scratch.data(), 0xff, scratch.size());  // NaN
      kernel.run(args, block, std::min(block + blocks_at_once, args.weight.blocks()), scratch.data());
    }
  }

 private:
  static constexpr int kPreparedAtOnce = 23;
  // Sizes of tiny operands. Rows of 2^-101 have groups of which int8 and int4 take some for 0; outputs of 2^-15 have
  // scales that are denormal in float16.
  static constexpr int kRowExponents[] = {20, 0, -60, -98, -101, -125};
  static constexpr int kOutputExponents[] = {20, 0, -15, -25, -35, -64, -125};

  bool is_tiny() const { return shape_.operands == Operands::tiny; }
  // Of what is added to the sums.
  float deviation() const { return is_tiny() ? 0x1p-125F : 1; }
  template <int kCount>
  float any_size(const int (&exponents)[kCount]) {
    return is_tiny() ? std::ldexp(1.0F, exponents[random_.below(kCount)]) : 1;
  }

  static std::int64_t rounded(std::int64_t bytes) { return (bytes + 63) / 64 * 64; }

  Activations args_of(const Bytes& bytes, int inputs) const {
    return {const_cast<std::uint8_t*>(bytes.data()), dtype_, inputs};
  }
  // Tiles of zeros, and of NaN beyond the rows.
  Bytes tiles(int inputs) const {
    Bytes result(activation_elements(shape_.rows, inputs) * size_of(dtype_));
    const Activations all = args_of(result, inputs);
    for (int t = shape_.rows; t % kTileRows != 0; ++t) {
      for (int k = 0; k < all.tiles_across() * kTileInputs; ++k) {
        Output(all.data, dtype_).set(all.place(t, k), std::numeric_limits<float>::quiet_NaN());
      }
    }
    return result;
  }

  std::int64_t numbers_of_y() const { return (shape_.rows - 1) * stride_ + shape_.outputs; }

  PackedLinearShape shape_;
  DType dtype_;
  std::int64_t stride_;
  Random random_;
  GuardedMemory<float> bias_;
  PackedWeight weight_;
  Bytes packed_;
  Bytes x_;
  std::vector<float> y_;
  GuardedMemory<float> addend_;
};

}  // namespace dolly4j::test
