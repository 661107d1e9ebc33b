// The multiply-adds of each instruction set, as many a second as the CPU can do.
//
//   registers   operands stay in registers: what the units can do
//   l2          the inner loop of a blocked matrix product: weights come from the L2 cache, inputs from L1
//
// A multiply-add is two operations. Results mean nothing; each kernel stores them where the compiler must keep them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "cpu/isa.h"

namespace dolly4j::bench {

/// Bytes of the operands: more weights than an L1 cache holds and fewer than an L2 cache does, inputs that stay in L1.
constexpr std::size_t kWeightBytes = 256 << 10;
constexpr std::size_t kInputBytes = 16 << 10;
constexpr std::size_t kResultBytes = 4 << 10;

struct Operands {
  const std::uint8_t* weights;  // 64-byte aligned, as the others
  const std::uint8_t* inputs;
  std::uint8_t* results;
};

/// Goes once over the weights, or computes about as long from registers. Returns the operations done.
using MultiplyAdds = std::int64_t (*)(const Operands& operands);

struct PeakKernel {
  const char* name;  // instruction set and type of the operands
  MultiplyAdds registers;
  MultiplyAdds l2;
};

/// Those this CPU can run.
std::vector<PeakKernel> peak_kernels();

}  // namespace dolly4j::bench
