#include <immintrin.h>

#include "peak_of_vectors.h"

namespace dolly4j::bench {
namespace {

struct Avx2Float32 {
  using Sum = __m256;
  using Operand = __m256;
  static constexpr int kBytes = 32;
  static constexpr int kOperations = 16;

  static Sum zero() { return _mm256_setzero_ps(); }
  static Operand load(const std::uint8_t* from) { return _mm256_load_ps(reinterpret_cast<const float*>(from)); }
  static Operand broadcast(const std::uint8_t* from) {
    return _mm256_broadcast_ss(reinterpret_cast<const float*>(from));
  }
  static Sum multiply_add(Sum sum, Operand input, Operand weight) { return _mm256_fmadd_ps(input, weight, sum); }
  static void store(std::uint8_t* to, Sum sum) { _mm256_store_ps(reinterpret_cast<float*>(to), sum); }
  static void hide(__m256& value) { __asm__ volatile("" : "+x"(value)); }
};

// Three instructions: products of bytes are added in pairs, and the pairs in pairs.
struct Avx2Int8 {
  using Sum = __m256i;
  using Operand = __m256i;
  static constexpr int kBytes = 32;
  static constexpr int kOperations = 64;

  static Sum zero() { return _mm256_setzero_si256(); }
  static Operand load(const std::uint8_t* from) { return _mm256_load_si256(reinterpret_cast<const __m256i*>(from)); }
  static Operand broadcast(const std::uint8_t* from) {
    return _mm256_set1_epi32(*reinterpret_cast<const std::int32_t*>(from));
  }
  static Sum multiply_add(Sum sum, Operand input, Operand weight) {
    const __m256i pairs = _mm256_maddubs_epi16(input, weight);
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
  }
  static void store(std::uint8_t* to, Sum sum) { _mm256_store_si256(reinterpret_cast<__m256i*>(to), sum); }
  static void hide(__m256i& value) { __asm__ volatile("" : "+x"(value)); }
};

}  // namespace

// Sixteen registers: the sums, two vectors of weights, an input, and for int8 the ones and a product.
PeakLoops peak_avx2_float32() { return PeakOfVectors<Avx2Float32, 6, 2>::loops(); }
PeakLoops peak_avx2_int8() { return PeakOfVectors<Avx2Int8, 5, 2>::loops(); }

ReadLoops read_avx2() { return ReadOfVectors<Avx2Float32>::loops(); }

}  // namespace dolly4j::bench
