#include <immintrin.h>

#include "peak_of_vectors.h"

namespace dolly4j::bench {
namespace {

struct Avx512Float32 {
  using Sum = __m512;
  using Operand = __m512;
  static constexpr int kBytes = 64;
  static constexpr int kOperations = 32;

  static Sum zero() { return _mm512_setzero_ps(); }
  static Operand load(const std::uint8_t* from) { return _mm512_load_ps(from); }
  static Operand broadcast(const std::uint8_t* from) { return _mm512_set1_ps(*reinterpret_cast<const float*>(from)); }
  static Sum multiply_add(Sum sum, Operand input, Operand weight) { return _mm512_fmadd_ps(input, weight, sum); }
  static void store(std::uint8_t* to, Sum sum) { _mm512_store_ps(to, sum); }
  static void hide(__m512& value) { __asm__ volatile("" : "+v"(value)); }
};

// VPDPBUSD.
struct Avx512Int8 {
  using Sum = __m512i;
  using Operand = __m512i;
  static constexpr int kBytes = 64;
  static constexpr int kOperations = 128;

  static Sum zero() { return _mm512_setzero_si512(); }
  static Operand load(const std::uint8_t* from) { return _mm512_load_si512(from); }
  static Operand broadcast(const std::uint8_t* from) {
    return _mm512_set1_epi32(*reinterpret_cast<const std::int32_t*>(from));
  }
  static Sum multiply_add(Sum sum, Operand input, Operand weight) { return _mm512_dpbusd_epi32(sum, input, weight); }
  static void store(std::uint8_t* to, Sum sum) { _mm512_store_si512(to, sum); }
  static void hide(__m512i& value) { __asm__ volatile("" : "+v"(value)); }
};

}  // namespace

// Of thirty-two registers 24 hold sums.
PeakLoops peak_avx512_float32() { return PeakOfVectors<Avx512Float32, 12, 2>::loops(); }
PeakLoops peak_avx512_int8() { return PeakOfVectors<Avx512Int8, 12, 2>::loops(); }

ReadLoops read_avx512() { return ReadOfVectors<Avx512Float32>::loops(); }

}  // namespace dolly4j::bench
