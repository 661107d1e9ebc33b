// The functions of cpu/vector_*.h as functions on arrays, for tests that are not compiled for the instruction set.
#pragma once

#include <cstdint>

#include "cpu/bfloat16.h"
#include "ops/gelu.h"

namespace dolly4j {
enum class Isa;  // cpu/isa.h
}

namespace dolly4j::test {

constexpr int kVectorLanes = 16;

struct VectorOperands {
  float a[kVectorLanes];
  float b[kVectorLanes];
  float c[kVectorLanes];
  float small[kVectorLanes];  // |small| < 2^22
  float power[kVectorLanes];  // whole numbers, -126 .. 127
  float byte[kVectorLanes];   // whole numbers, -128 .. 127
  bfloat16 pairs[kVectorLanes][2];
  std::uint8_t quads[kVectorLanes][4];
  std::int8_t numbers[16];              // -127 .. 127
  std::int32_t integers[kVectorLanes];  // below 2^24
  int count;                            // 0 .. 16
};

// What results of two instruction sets have in common.
enum class Agreement {
  bits,     // all bits: what moves numbers
  numbers,  // all bits but those of a NaN
  chosen,   // also, denormals and zeros of one sign are the same
};

struct VectorResult {
  const char* function;
  Agreement agreement;
  float lanes[kVectorLanes];  // results of one number are in all
};

struct VectorResults {
  static constexpr int kCapacity = 48;
  VectorResult result[kCapacity];
  int count = 0;
  bfloat16 stored[kVectorLanes];
  std::int8_t stored_bytes[kVectorLanes];
  std::uint8_t stored_quads[4 * kVectorLanes];
};

struct VectorFunctions {
  void (*all)(const VectorOperands& operands, VectorResults& results);
  void (*load_first)(const float* from, int count, float* to);
  void (*load_first_bfloat16)(const bfloat16* from, int count, float* to);
  void (*store_first)(float* to, const float* from, int count);
  void (*store_first_bfloat16)(bfloat16* to, const float* from, int count);
  // 16 numbers each, none of them NaN for largest.
  void (*exp)(const float* x, float* y);
  void (*gelu)(GeluForm form, const float* x, float* y);
  float (*largest)(const float* x);
};

// Those of the vectors that kernels for the instruction set compute with.
const VectorFunctions& vector_functions(Isa isa);

}  // namespace dolly4j::test
