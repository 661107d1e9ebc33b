// Operands of packed_linear.h at random, odd shapes, and ways to run a kernel on them.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <sstream>
#include <string>
#include <vector>

#include "buffer.h"
#include "cpu/aligned_memory.h"
#include "cpu/flush_denormals.h"
#include "ops/packed_linear.h"
#include "random.h"

namespace dolly4j::test {

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
};

inline std::string describe(const PackedLinearShape& shape) {
  constexpr const char* kResults[] = {"store", "gelu", "add"};
  std::ostringstream text;
  text << "rows " << shape.rows << ", outputs " << shape.outputs << ", inputs " << shape.inputs << ", "
       << (shape.type == WeightType::float32 ? "float32"
           : shape.order == SumOrder::pairs  ? "pairs"
                                             : "tiles")
       << ", " << kResults[static_cast<int>(shape.result)] << (shape.bias ? ", bias" : "")
       << (shape.addend ? ", addend" : "");
  return text.str();
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
  // More inputs than a chunk holds, with rows beyond it.
  shapes.push_back({3, 48, 1060, type, order, LinearResult::store, GeluForm::erf, true, false});
  shapes.push_back({40, 33, 1060, type, order, LinearResult::store, GeluForm::erf, true, false});
  shapes.push_back({500, 17, 1060, type, order, LinearResult::store, GeluForm::erf, true, false});
  return shapes;
}

class PackedLinearCase {
 public:
  PackedLinearCase(const PackedLinearShape& shape, std::uint64_t seed)
      : shape_(shape), dtype_(shape.type == WeightType::float32 ? DType::float32 : DType::bfloat16) {
    Random random(seed);
    const float deviation = 1 / std::sqrt(static_cast<float>(shape.inputs));
    rows_ = Buffer(random.normals(std::int64_t{shape.outputs} * shape.inputs, deviation), dtype_);
    bias_ = random.normals(shape.outputs);
    weight_ = {shape.type, shape.outputs, shape.inputs, nullptr, shape.bias ? bias_.data() : nullptr};
    packed_ = memory(weight_.blocks() * weight_.block_bytes());
    weight_.data = packed_.data();
    pack_outputs(weight_, packed_.data(), 0, shape.outputs, rows_.input().data);

    x_ = tiles(shape.inputs, dtype_);
    const Activations x = activations(x_, shape.inputs, dtype_);
    for (int t = 0; t < shape.rows; ++t) {
      for (int k = 0; k < shape.inputs; ++k) {
        Output(x.data, x.dtype).set(x.place(t, k), random.normal());
      }
    }
    stride_ = shape.outputs + 3;
    y_ = random.normals(shape.rows * stride_);
    addend_ = random.normals(shape.rows * stride_);
    activated_ = tiles(shape.outputs, dtype_);
  }

  // What the op writes to, all of it: also what it has to leave alone.
  struct Result {
    std::vector<float> y;
    AlignedMemory activated;

    bool operator==(const Result& other) const {
      return std::memcmp(y.data(), other.y.data(), y.size() * sizeof(float)) == 0 &&
             std::memcmp(activated.data(), other.activated.data(), activated.bytes()) == 0;
    }
  };

  Result before() const { return {y_, copy(activated_)}; }

  PackedLinearArgs args(Result& result) const {
    PackedLinearArgs args{};
    args.weight = weight_;
    args.order = shape_.order;
    args.x = activations(x_, shape_.inputs, dtype_);
    args.rows = shape_.rows;
    args.result = shape_.result;
    args.y = result.y.data();
    args.y_stride = stride_;
    args.addend = shape_.addend ? addend_.data() : nullptr;
    args.gelu = shape_.gelu;
    args.activated = activations(result.activated, shape_.outputs, dtype_);
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

  const Buffer& weight_rows() const { return rows_; }

  static void run_blocks(const PackedLinear& kernel, const PackedLinearArgs& args, int blocks_at_once = 1 << 20) {
    const FlushDenormals flush;
    for (int block = 0; block < args.weight.blocks(); block += blocks_at_once) {
      // Exactly as long as asked for, but for a guard, and full of NaN.
      const std::int64_t bytes = kernel.scratch_bytes(args.rows, args.weight.inputs);
      AlignedMemory scratch = memory(bytes + kGuard);
      std::memset(scratch.data(), 0xff, scratch.bytes());
      kernel.run(args, block, std::min(block + blocks_at_once, args.weight.blocks()), scratch.data());
      const auto* guard = static_cast<const std::uint8_t*>(scratch.data()) + bytes;
      for (int i = 0; i < kGuard; ++i) {
        ASSERT_EQ(guard[i], 0xff) << "scratch is written beyond its " << bytes << " bytes";
      }
    }
  }

  static AlignedMemory memory(std::int64_t bytes) { return {static_cast<std::size_t>(bytes), "a test"}; }

 private:
  static constexpr int kGuard = 256;

  static AlignedMemory copy(const AlignedMemory& from) {
    AlignedMemory to = memory(static_cast<std::int64_t>(from.bytes()));
    std::memcpy(to.data(), from.data(), from.bytes());
    return to;
  }
  static Activations activations(const AlignedMemory& memory, int inputs, DType dtype) {
    return {memory.data(), dtype, inputs};
  }
  // Tiles whose rows beyond `rows` are NaN.
  AlignedMemory tiles(int inputs, DType dtype) const {
    AlignedMemory result = memory(activation_elements(shape_.rows, inputs) * size_of(dtype));
    const Activations all = activations(result, inputs, dtype);
    for (int t = shape_.rows; t % kTileRows != 0; ++t) {
      for (int k = 0; k < all.tiles_across() * kTileInputs; ++k) {
        Output(all.data, dtype).set(all.place(t, k), std::numeric_limits<float>::quiet_NaN());
      }
    }
    return result;
  }

  PackedLinearShape shape_;
  DType dtype_;
  Buffer rows_{0, DType::float32};
  AlignedMemory packed_;
  PackedWeight weight_;
  std::vector<float> bias_;
  AlignedMemory x_;
  std::int64_t stride_;
  std::vector<float> y_;
  std::vector<float> addend_;
  AlignedMemory activated_;
};

}  // namespace dolly4j::test
