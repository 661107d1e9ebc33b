// vector_generic.h with AVX2, FMA and F16C: 16 lanes are two registers.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "cpu/bfloat16.h"
#include "cpu/float16.h"

namespace dolly4j {
namespace {

struct Avx2 {
  static constexpr int kLanes = 16;

  struct F {
    __m256 low;   // lanes 0 .. 7
    __m256 high;  // lanes 8 .. 15
  };
  struct Pairs {
    __m256i low;
    __m256i high;
  };
  struct Quads {
    __m256i low;
    __m256i high;
  };
  using Quad = __m256i;
  // Two sums of 16 bits a lane, of the products of two numbers each: 8 times 2 x 15 x 127 stay below 2^15.
  struct Dots {
    __m256i low;
    __m256i high;
  };
  static constexpr int kDotsAtOnce = 8;
  static constexpr int kMostDots = 4;
  static constexpr int kSumsKept = 0;
  // Products of bytes without sign by bytes with it overflow 16 bits, so both are widened to these: numbers 0 and 2,
  // and 1 and 3, of every four, as pairs whose products are added to 32 bits.
  struct Bytes {
    Quads even;
    Quads odd;
  };
  using ByteNumber = std::int16_t;
  struct ByteQuad {
    __m256i even;
    __m256i odd;
  };
  struct ByteDots {
    __m256i low;
    __m256i high;
  };

  static F zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
  static F set(float value) { return {_mm256_set1_ps(value), _mm256_set1_ps(value)}; }
  static F broadcast(const float* place) {
    const __m256 all = _mm256_broadcast_ss(place);
    return {all, all};
  }
  static F load(const float* from) { return {_mm256_loadu_ps(from), _mm256_loadu_ps(from + 8)}; }
  static F load_first(const float* from, int count) {
    const Mask mask = first_lanes(count);
    return {_mm256_maskload_ps(from, mask.low), _mm256_maskload_ps(from + 8, mask.high)};
  }
  static F load(const bfloat16* from) {
    const auto* bits = reinterpret_cast<const __m128i*>(from);
    return {widen(_mm_loadu_si128(bits)), widen(_mm_loadu_si128(bits + 1))};
  }
  static F load_first(const bfloat16* from, int count) {
    bfloat16 numbers[kLanes] = {};
    __builtin_memcpy(numbers, from, static_cast<unsigned>(count) * sizeof(bfloat16));
    return load(numbers);
  }
  static void store(float* to, F x) {
    _mm256_storeu_ps(to, x.low);
    _mm256_storeu_ps(to + 8, x.high);
  }
  static void store_first(float* to, F x, int count) {
    const Mask mask = first_lanes(count);
    _mm256_maskstore_ps(to, mask.low, x.low);
    _mm256_maskstore_ps(to + 8, mask.high, x.high);
  }
  static void store(bfloat16* to, F x) {
    // The upper halves, as 32-bit numbers below 2^16: packing saturates none. It works within 128-bit halves, and the
    // permutation undoes that.
    const __m256i packed = _mm256_packus_epi32(narrow(x.low), narrow(x.high));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm256_permute4x64_epi64(packed, 0xd8));
  }
  static void store_first(bfloat16* to, F x, int count) {
    bfloat16 numbers[kLanes];
    store(numbers, x);
    __builtin_memcpy(to, numbers, static_cast<unsigned>(count) * sizeof(bfloat16));
  }

  static void store_int8(void* to, F x) {
    const __m256i low = _mm256_cvtps_epi32(x.low);
    const __m256i high = _mm256_cvtps_epi32(x.high);
    const __m128i first = _mm_packs_epi32(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1));
    const __m128i second = _mm_packs_epi32(_mm256_castsi256_si128(high), _mm256_extracti128_si256(high, 1));
    _mm_storeu_si128(static_cast<__m128i*>(to), _mm_packs_epi16(first, second));
  }
  static F load_int32(const std::int32_t* from) {
    const auto* bits = reinterpret_cast<const __m256i*>(from);
    return {_mm256_cvtepi32_ps(_mm256_loadu_si256(bits)), _mm256_cvtepi32_ps(_mm256_loadu_si256(bits + 1))};
  }
  static F load(const float16* from) {
    const auto* bits = reinterpret_cast<const __m128i*>(from);
    return {_mm256_cvtph_ps(_mm_loadu_si128(bits)), _mm256_cvtph_ps(_mm_loadu_si128(bits + 1))};
  }

  static Pairs load_pairs(const void* from) {
    const auto* bits = static_cast<const __m256i*>(from);
    return {_mm256_loadu_si256(bits), _mm256_loadu_si256(bits + 1)};
  }
  static F even(Pairs x) {
    return {_mm256_castsi256_ps(_mm256_slli_epi32(x.low, 16)), _mm256_castsi256_ps(_mm256_slli_epi32(x.high, 16))};
  }
  static F odd(Pairs x) {
    const __m256i upper = _mm256_set1_epi32(static_cast<int>(0xffff0000U));
    return {_mm256_castsi256_ps(_mm256_and_si256(x.low, upper)), _mm256_castsi256_ps(_mm256_and_si256(x.high, upper))};
  }

  static Quads load_quads(const void* from) {
    const auto* bits = static_cast<const __m256i*>(from);
    return {_mm256_loadu_si256(bits), _mm256_loadu_si256(bits + 1)};
  }
  static void store_quads(void* to, Quads x) {
    _mm256_storeu_si256(static_cast<__m256i*>(to), x.low);
    _mm256_storeu_si256(static_cast<__m256i*>(to) + 1, x.high);
  }
  static Quads low(Quads x) {
    const __m256i lower = _mm256_set1_epi8(15);
    return {_mm256_and_si256(x.low, lower), _mm256_and_si256(x.high, lower)};
  }
  static Quads high(Quads x) {
    const __m256i lower = _mm256_set1_epi8(15);
    return {_mm256_and_si256(_mm256_srli_epi16(x.low, 4), lower),
            _mm256_and_si256(_mm256_srli_epi16(x.high, 4), lower)};
  }
  static Quad broadcast_quad(const std::int8_t* from) {
    int bits;
    __builtin_memcpy(&bits, from, sizeof bits);
    return _mm256_set1_epi32(bits);
  }
  static Dots no_dots() { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
  static Dots dot(Quads w, Quad x, Dots a) {
    a = {_mm256_add_epi16(a.low, _mm256_maddubs_epi16(w.low, x)),
         _mm256_add_epi16(a.high, _mm256_maddubs_epi16(w.high, x))};
    // Else g++ makes trees of the sums of a kernel, for which there are not registers enough.
    __asm__("" : "+x"(a.low), "+x"(a.high));
    return a;
  }
  static F to_float(Dots a) {
    const __m256i ones = _mm256_set1_epi16(1);
    return {_mm256_cvtepi32_ps(_mm256_madd_epi16(a.low, ones)), _mm256_cvtepi32_ps(_mm256_madd_epi16(a.high, ones))};
  }

  static Bytes load_bytes(const void* from) {
    const Quads x = load_quads(from);
    const __m256i lower = _mm256_set1_epi16(255);
    return {{_mm256_and_si256(x.low, lower), _mm256_and_si256(x.high, lower)},
            {_mm256_srli_epi16(x.low, 8), _mm256_srli_epi16(x.high, 8)}};
  }
  static void spread_bytes(const std::int8_t* from, ByteNumber* to, int count) {
    const __m128i order = _mm_setr_epi8(0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15);
    for (int i = 0; i < count; i += 16) {
      const __m128i bytes = _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i)), order);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + i), _mm256_cvtepi8_epi16(bytes));
    }
  }
  static ByteQuad broadcast_quad(const ByteNumber* from) {
    // By the instruction that takes its number from memory: g++ would take both through other registers.
    const auto broadcast_pair = [](const ByteNumber* pair) {
      return _mm256_castps_si256(_mm256_broadcast_ss(reinterpret_cast<const float*>(pair)));
    };
    return {broadcast_pair(from), broadcast_pair(from + 2)};
  }
  static ByteDots byte_dots(std::int32_t all) { return {_mm256_set1_epi32(all), _mm256_set1_epi32(all)}; }
  static ByteDots dot(Bytes w, ByteQuad x, ByteDots a) {
    add(_mm256_madd_epi16(w.even.low, x.even), a.low);
    add(_mm256_madd_epi16(w.even.high, x.even), a.high);
    add(_mm256_madd_epi16(w.odd.low, x.odd), a.low);
    add(_mm256_madd_epi16(w.odd.high, x.odd), a.high);
    return a;
  }
  static F to_float(ByteDots a) { return {_mm256_cvtepi32_ps(a.low), _mm256_cvtepi32_ps(a.high)}; }

  static F add(F a, F b) { return {_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)}; }
  static F sub(F a, F b) { return {_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)}; }
  static F mul(F a, F b) { return {_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)}; }
  static F div(F a, F b) { return {_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high)}; }
  static F fma(F a, F b, F c) {
    return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
  }
  static F fnma(F a, F b, F c) {
    return {_mm256_fnmadd_ps(a.low, b.low, c.low), _mm256_fnmadd_ps(a.high, b.high, c.high)};
  }
  static F sqrt(F a) { return {_mm256_sqrt_ps(a.low), _mm256_sqrt_ps(a.high)}; }
  static F max(F a, F b) { return {_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)}; }
  static F min(F a, F b) { return {_mm256_min_ps(a.low, b.low), _mm256_min_ps(a.high, b.high)}; }
  static F abs(F a) {
    const __m256 sign = _mm256_set1_ps(-0.0F);
    return {_mm256_andnot_ps(sign, a.low), _mm256_andnot_ps(sign, a.high)};
  }
  static F where_less(F x, F y, F a, F b) {
    return {_mm256_blendv_ps(b.low, a.low, _mm256_cmp_ps(x.low, y.low, _CMP_LT_OQ)),
            _mm256_blendv_ps(b.high, a.high, _mm256_cmp_ps(x.high, y.high, _CMP_LT_OQ))};
  }
  static F first(int count, F a, F b) {
    const Mask mask = first_lanes(count);
    return {_mm256_blendv_ps(b.low, a.low, _mm256_castsi256_ps(mask.low)),
            _mm256_blendv_ps(b.high, a.high, _mm256_castsi256_ps(mask.high))};
  }
  static F round(F a) {
    constexpr int kNearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
    return {_mm256_round_ps(a.low, kNearest), _mm256_round_ps(a.high, kNearest)};
  }
  static F round_to_bfloat16(F a) {
    return {_mm256_castsi256_ps(_mm256_slli_epi32(narrow(a.low), 16)),
            _mm256_castsi256_ps(_mm256_slli_epi32(narrow(a.high), 16))};
  }
  static F power_of_two(F n) { return {power_of_two(n.low), power_of_two(n.high)}; }

  static float sum(F a) {
    const __m256 eight = _mm256_add_ps(a.low, a.high);
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }
  static float largest(F a) {
    const __m256 eight = _mm256_max_ps(a.low, a.high);
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
  }

  [[gnu::always_inline]] static void prefetch(const void* place) {
    _mm_prefetch(static_cast<const char*>(place), _MM_HINT_T0);
  }

 private:
  struct Mask {
    __m256i low;
    __m256i high;
  };

  // a += x of 32 bits. Left to itself g++ makes trees of the sums of a kernel, for which there are not registers
  // enough.
  [[gnu::always_inline]] static void add(__m256i x, __m256i& a) { __asm__("vpaddd %1, %0, %0" : "+x"(a) : "x"(x)); }
  // All bits set in the first `count` lanes.
  static Mask first_lanes(int count) {
    const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __m256i limit = _mm256_set1_epi32(count);
    return {_mm256_cmpgt_epi32(limit, lanes), _mm256_cmpgt_epi32(limit, _mm256_add_epi32(lanes, _mm256_set1_epi32(8)))};
  }
  static __m256 widen(__m128i bits) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16)); }
  // The bits of to_bfloat16(x), in the lower half of every lane.
  static __m256i narrow(__m256 x) {
    const __m256i bits = _mm256_castps_si256(x);
    const __m256i tie_to_even = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i rounded =
        _mm256_srli_epi32(_mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), tie_to_even), 16);
    const __m256i quiet = _mm256_or_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(0x40));
    const __m256i is_nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
    return _mm256_blendv_epi8(rounded, quiet, is_nan);
  }
  static __m256 power_of_two(__m256 n) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23));
  }
};

}  // namespace
}  // namespace dolly4j
