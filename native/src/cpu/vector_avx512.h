// vector_generic.h with AVX-512 (F, BW, DQ, VL, VNNI): 16 lanes are one register.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "cpu/bfloat16.h"
#include "cpu/float16.h"

namespace dolly4j {
namespace {

struct Avx512 {
  static constexpr int kLanes = 16;

  using F = __m512;
  using Pairs = __m512i;
  using Quads = __m512i;
  using Quad = __m512i;
  using Dots = __m512i;
  static constexpr int kDotsAtOnce = 16;
  static constexpr int kMostDots = 24;
  static constexpr int kSumsKept = 12;
  using Bytes = Quads;
  using ByteNumber = std::int8_t;
  using ByteDots = Dots;

  static F zero() { return _mm512_setzero_ps(); }
  static F set(float value) { return _mm512_set1_ps(value); }
  static F broadcast(const float* place) { return _mm512_set1_ps(*place); }
  static F load(const float* from) { return _mm512_loadu_ps(from); }
  static F load_first(const float* from, int count) { return _mm512_maskz_loadu_ps(first_lanes(count), from); }
  static F load(const bfloat16* from) { return widen(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from))); }
  static F load_first(const bfloat16* from, int count) {
    return widen(_mm256_maskz_loadu_epi16(first_lanes(count), from));
  }
  static void store(float* to, F x) { _mm512_storeu_ps(to, x); }
  static void store_first(float* to, F x, int count) { _mm512_mask_storeu_ps(to, first_lanes(count), x); }
  static void store(bfloat16* to, F x) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), narrow(x)); }
  static void store_first(bfloat16* to, F x, int count) { _mm256_mask_storeu_epi16(to, first_lanes(count), narrow(x)); }

  static void store_int8(void* to, F x) {
    _mm_storeu_si128(static_cast<__m128i*>(to), _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(x)));
  }
  static F load_int32(const std::int32_t* from) { return _mm512_cvtepi32_ps(_mm512_loadu_si512(from)); }
  static F load(const float16* from) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
  }

  static Pairs load_pairs(const void* from) { return _mm512_loadu_si512(from); }
  static F even(Pairs x) { return _mm512_castsi512_ps(_mm512_slli_epi32(x, 16)); }
  static F odd(Pairs x) {
    return _mm512_castsi512_ps(_mm512_and_si512(x, _mm512_set1_epi32(static_cast<int>(0xffff0000U))));
  }

  static Quads load_quads(const void* from) { return _mm512_loadu_si512(from); }
  static void store_quads(void* to, Quads x) { _mm512_storeu_si512(to, x); }
  static Quads low(Quads x) { return _mm512_and_si512(x, _mm512_set1_epi8(15)); }
  static Quads high(Quads x) { return _mm512_and_si512(_mm512_srli_epi16(x, 4), _mm512_set1_epi8(15)); }
  static Quad broadcast_quad(const std::int8_t* from) {
    int bits;
    __builtin_memcpy(&bits, from, sizeof bits);
    return _mm512_set1_epi32(bits);
  }
  static Dots no_dots() { return _mm512_setzero_si512(); }
  static Dots dot(Quads w, Quad x, Dots a) {
    // Not by its intrinsic: g++ 12 copies every sum of a loop to another register and back.
    __asm__("vpdpbusd %2, %1, %0" : "+v"(a) : "v"(w), "v"(x));
    return a;
  }
  static F to_float(Dots a) { return _mm512_cvtepi32_ps(a); }

  static Bytes load_bytes(const void* from) { return load_quads(from); }
  static void spread_bytes(const std::int8_t* from, ByteNumber* to, int count) {
    __builtin_memcpy(to, from, static_cast<unsigned>(count));
  }
  static ByteDots byte_dots(std::int32_t all) { return _mm512_set1_epi32(all); }

  static F add(F a, F b) { return _mm512_add_ps(a, b); }
  static F sub(F a, F b) { return _mm512_sub_ps(a, b); }
  static F mul(F a, F b) { return _mm512_mul_ps(a, b); }
  static F div(F a, F b) { return _mm512_div_ps(a, b); }
  static F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
  static F fnma(F a, F b, F c) { return _mm512_fnmadd_ps(a, b, c); }
  static F sqrt(F a) { return _mm512_sqrt_ps(a); }
  static F max(F a, F b) { return _mm512_max_ps(a, b); }
  static F min(F a, F b) { return _mm512_min_ps(a, b); }
  static F abs(F a) { return _mm512_abs_ps(a); }
  static F where_less(F x, F y, F a, F b) { return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(x, y, _CMP_LT_OQ), b, a); }
  static F first(int count, F a, F b) { return _mm512_mask_blend_ps(first_lanes(count), b, a); }
  static F round(F a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  static F round_to_bfloat16(F a) { return _mm512_castsi512_ps(_mm512_slli_epi32(bfloat16_bits(a), 16)); }
  static F power_of_two(F n) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127)), 23));
  }

  static float sum(F a) {
    const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }
  static float largest(F a) {
    const __m256 eight = _mm256_max_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
  }

  [[gnu::always_inline]] static void prefetch(const void* place) {
    _mm_prefetch(static_cast<const char*>(place), _MM_HINT_T0);
  }

 private:
  static __mmask16 first_lanes(int count) {
    return static_cast<__mmask16>(count >= kLanes ? 0xffffU : (1U << count) - 1U);
  }
  static F widen(__m256i bits) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16)); }
  static __m256i narrow(F x) { return _mm512_cvtepi32_epi16(bfloat16_bits(x)); }
  // Of to_bfloat16(x), in the lower half of every lane. Not by vcvtneps2bf16, which flushes denormals and not every CPU
  // has.
  static __m512i bfloat16_bits(F x) {
    const __m512i bits = _mm512_castps_si512(x);
    const __m512i tie_to_even = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i rounded =
        _mm512_srli_epi32(_mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), tie_to_even), 16);
    const __m512i quiet = _mm512_or_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(0x40));
    return _mm512_mask_blend_epi32(_mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q), rounded, quiet);
  }
};

}  // namespace
}  // namespace dolly4j
