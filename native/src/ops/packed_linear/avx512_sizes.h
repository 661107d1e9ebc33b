// How the kernels of CPUs with AVX-512 go through their loops. On a Zen 5, 2 threads, chunks of 8 KiB in 4 blocks read
// int8 of one row at 0.89 of the read speed and bfloat16 at 0.94; 2 or 4 KiB in 8 blocks at 0.75 and 0.84.
#pragma once

#include "ops/packed_linear/vector_skeleton.h"

namespace dolly4j {
namespace {

// Of 32 registers, 24 are accumulators; of int8 and int4 12, and as many hold the dot products of a group.
using Avx512Sizes = LoopSizes<12, 24, 4, 8192, 8192>;
using Avx512GroupSizes = LoopSizes<6, 12, 4, 8192, 8192>;

}  // namespace
}  // namespace dolly4j
