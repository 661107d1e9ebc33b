// What the machine can do at most, by loops that do nothing else.
#pragma once

#include <cstdint>

#include "cpu/aligned_memory.h"
#include "cpu/isa.h"
#include "stopwatch.h"

namespace dolly4j::bench {

// Bytes a second that the threads read together from memory, each from several places at once.
class ReadLimit {
 public:
  ReadLimit();
  double bytes_per_second(const Stopwatch& stopwatch) const;

 private:
  AlignedMemory memory_;
};

// Does `rounds` rounds of multiplications and additions on numbers in registers; returns how many operations these were.
using PeakFn = double (*)(std::int64_t rounds);

// Fused multiply-adds of float32. avx512_bf16: VDPBF16PS. amx: TDPBF16PS on tiles in registers.
PeakFn peak(Isa isa);

// TDPBF16PS, 2 x 2 tiles, on tiles read from the second-level cache.
PeakFn tile_peak_from_cache();

double operations_per_second(PeakFn peak, const Stopwatch& stopwatch);

}  // namespace dolly4j::bench
