// How the kernels of CPUs with AVX-512 go through their loops. On a Zen 5, 2 threads, chunks of 8 KiB in 4 blocks read
// int8 of one row at 0.89 of the read speed and bfloat16 at 0.94; 2 or 4 KiB in 8 blocks at 0.75 and 0.84.
#pragma once

#include "ops/packed_linear/vector_skeleton.h"

namespace dolly4j {
namespace {

// Of 32 registers, 24 are accumulators; of int8 and int4 12, and as many hold the dot products of a group. 7 to 10 rows
// of int8 are one panel all the same, whose sums wait in memory between groups: on a Zen 4 that is 1.05 to 1.15 times
// as fast as two panels, with 12 rows 0.92 times, and 0.8 to 1.0 times with int4.
using Avx512Sizes = LoopSizes<12, 24, 4, 8192, 8192>;
using Avx512Int8Sizes = LoopSizes<6, 12, 4, 8192, 8192, 10>;
using Avx512Int4Sizes = LoopSizes<6, 12, 4, 8192, 8192>;

}  // namespace
}  // namespace dolly4j
