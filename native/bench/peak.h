// The loops of machine_limits.h, each for an instruction set.
#pragma once

#include <cstdint>

namespace dolly4j::bench {

// Multiply-adds: as many a second as the CPU can do. One is two operations.
//
// More weights than a first-level cache holds and fewer than a second-level one does; inputs that stay in the first.
constexpr std::int64_t kPeakWeightBytes = 256 << 10;
constexpr std::int64_t kPeakInputBytes = 16 << 10;
constexpr std::int64_t kPeakResultBytes = 4 << 10;
constexpr std::int64_t kPeakBytes = kPeakWeightBytes + kPeakInputBytes + kPeakResultBytes;

// Of one thread, 64-byte aligned. What the numbers are does not matter, but that they were written: pages of memory
// that never were are all the same one.
struct PeakOperands {
  const std::uint8_t* weights;
  const std::uint8_t* inputs;
  std::uint8_t* results;
};

// Some ten microseconds of multiply-adds; returns how many operations these were.
using MultiplyAdds = std::int64_t (*)(const PeakOperands& operands);

// registers: operands stay in registers: what the units can do.
// l2: the inner loop of a blocked matrix product: weights come from the second-level cache, inputs from the first.
struct PeakLoops {
  MultiplyAdds registers;
  MultiplyAdds l2;
};

PeakLoops peak_generic_float32();
PeakLoops peak_avx2_float32();
PeakLoops peak_avx2_int8();
PeakLoops peak_avx512_float32();
PeakLoops peak_avx512_int8();
PeakLoops peak_avx512_bf16_bfloat16();
PeakLoops peak_amx_bfloat16();
PeakLoops peak_amx_int8();

// Reading: so many bytes of each stream, a line of the cache of each in turn. Streams begin stream_bytes apart.
constexpr std::int64_t kReadBytes = 128 << 10;

using ReadStreams = void (*)(const std::uint8_t* first_stream, std::int64_t stream_bytes);

struct ReadLoops {
  ReadStreams one;
  ReadStreams two;
  ReadStreams four;
  ReadStreams eight;
};

ReadLoops read_generic();
ReadLoops read_avx2();
ReadLoops read_avx512();

}  // namespace dolly4j::bench
