#include <immintrin.h>

#include "peak_of_vectors.h"

namespace dolly4j::bench {
namespace {

// VDPBF16PS.
struct Avx512Bfloat16 {
  using Sum = __m512;
  using Operand = __m512i;
  static constexpr int kBytes = 64;
  static constexpr int kOperations = 64;

  static Sum zero() { return _mm512_setzero_ps(); }
  static Operand load(const std::uint8_t* from) { return _mm512_load_si512(from); }
  static Operand broadcast(const std::uint8_t* from) {
    return _mm512_set1_epi32(*reinterpret_cast<const std::int32_t*>(from));
  }
  static Sum multiply_add(Sum sum, Operand input, Operand weight) {
    return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(input), reinterpret_cast<__m512bh>(weight));
  }
  static void store(std::uint8_t* to, Sum sum) { _mm512_store_ps(to, sum); }
  template <class Register>
  static void hide(Register& value) {
    __asm__ volatile("" : "+v"(value));
  }
};

}  // namespace

PeakLoops peak_avx512_bf16_bfloat16() { return PeakOfVectors<Avx512Bfloat16, 12, 2>::loops(); }

}  // namespace dolly4j::bench
