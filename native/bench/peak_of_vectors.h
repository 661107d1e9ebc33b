// The loops of peak.h for vectors. V is a vector instruction set:
//
//   Sum, Operand               what a register holds: sums; weights, or an input in all lanes
//   kBytes, kOperations        of a vector of weights; of one multiply_add
//   zero()  load(from)  broadcast(from)  multiply_add(sum, input, weight)  store(to, sum)
//   hide(value)                the compiler no longer knows what is in the register
#pragma once

#include "peak.h"

namespace dolly4j::bench {
namespace {

// Rounds of the loop over registers, so that it takes about as long as the other one.
constexpr int kPeakRounds = 4096;

// Multiply-adds: a block of kRows inputs x kColumns vectors of weights is summed in registers. The values are hidden
// from the compiler: it would add all sums that start alike only once, multiply once what is multiplied again and
// again, and multiply far ahead of the sums, for which it then has no registers.
template <class V, int kRows, int kColumns>
class PeakOfVectors {
 public:
  static PeakLoops loops() { return {registers, l2}; }

 private:
  using Sum = typename V::Sum;
  using Operand = typename V::Operand;

  static std::int64_t registers(const PeakOperands& operands) {
    constexpr int kSums = kRows * kColumns;
    Sum sums[kSums];
#pragma GCC unroll 32
    for (int i = 0; i < kSums; ++i) {
      sums[i] = V::zero();
      V::hide(sums[i]);
    }
    Operand input = V::broadcast(operands.inputs);
    const Operand weight = V::load(operands.weights);
    for (int round = 0; round < kPeakRounds; ++round) {
#pragma GCC unroll 32
      for (int i = 0; i < kSums; ++i) {
        V::hide(input);
        sums[i] = V::multiply_add(sums[i], input, weight);
        V::hide(sums[i]);
      }
    }
#pragma GCC unroll 32
    for (int i = 0; i < kSums; ++i) {
      V::store(operands.results + V::kBytes * i, sums[i]);
    }
    return std::int64_t{kPeakRounds} * kSums * V::kOperations;
  }

  static std::int64_t l2(const PeakOperands& operands) {
    constexpr std::int64_t kInputStep = 4 * kRows;  // bytes
    constexpr std::int64_t kWeightStep = V::kBytes * kColumns;
    constexpr std::int64_t kSteps = kPeakInputBytes / kInputStep;
    constexpr std::int64_t kPanels = kPeakWeightBytes / kWeightStep / kSteps;
    const std::uint8_t* weights = operands.weights;
    for (std::int64_t panel = 0; panel < kPanels; ++panel) {
      Sum sums[kRows][kColumns];
#pragma GCC unroll 16
      for (int row = 0; row < kRows; ++row) {
#pragma GCC unroll 2
        for (int column = 0; column < kColumns; ++column) {
          sums[row][column] = V::zero();
        }
      }
      const std::uint8_t* inputs = operands.inputs;
      for (std::int64_t step = 0; step < kSteps; ++step) {
        Operand weight[kColumns];
#pragma GCC unroll 2
        for (int column = 0; column < kColumns; ++column) {
          weight[column] = V::load(weights + V::kBytes * column);
        }
#pragma GCC unroll 16
        for (int row = 0; row < kRows; ++row) {
          Operand input = V::broadcast(inputs + 4 * row);
#pragma GCC unroll 2
          for (int column = 0; column < kColumns; ++column) {
            V::hide(input);
            sums[row][column] = V::multiply_add(sums[row][column], input, weight[column]);
            V::hide(sums[row][column]);
          }
        }
        weights += kWeightStep;
        inputs += kInputStep;
      }
#pragma GCC unroll 16
      for (int row = 0; row < kRows; ++row) {
#pragma GCC unroll 2
        for (int column = 0; column < kColumns; ++column) {
          V::store(operands.results + V::kBytes * (row * kColumns + column), sums[row][column]);
        }
      }
    }
    return kPanels * kSteps * kRows * kColumns * V::kOperations;
  }
};

// Reading.
template <class V>
class ReadOfVectors {
 public:
  static ReadLoops loops() { return {read<1>, read<2>, read<4>, read<8>}; }

 private:
  template <int kStreams>
  static void read(const std::uint8_t* first_stream, std::int64_t stream_bytes) {
    for (std::int64_t at = 0; at < kReadBytes; at += kLineBytes) {
#pragma GCC unroll 8
      for (int stream = 0; stream < kStreams; ++stream) {
        const std::uint8_t* line = first_stream + stream * stream_bytes + at;
#pragma GCC unroll 4
        for (int part = 0; part < kLineBytes; part += V::kBytes) {
          typename V::Operand numbers = V::load(line + part);
          V::hide(numbers);
        }
      }
    }
  }

  static constexpr int kLineBytes = 64;
};

}  // namespace
}  // namespace dolly4j::bench
