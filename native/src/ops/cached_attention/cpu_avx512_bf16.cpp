#include "cpu/vector_avx512.h"
#include "ops/cached_attention/cpu.h"
#include "ops/cached_attention/kernel.h"

namespace dolly4j {
namespace {

// Both products of a line's pairs by one VDPBF16PS. Factors are the same pairs.
struct DotProducts {
  using F = Avx512::F;
  using Pairs = Avx512::Pairs;
  using Factor = std::uint32_t;

  // Of 16 numbers 8 pairs: 0 in the upper half and 2 in the lower one, 1 and 3, 4 and 6, and so on.
  static void store(std::uint32_t* to, int i, F x) {
    const __m512i upper = _mm512_setr_epi32(0, 1, 4, 5, 8, 9, 12, 13, 0, 0, 0, 0, 0, 0, 0, 0);
    const __m512i lower = _mm512_add_epi32(upper, _mm512_set1_epi32(2));
    const __m512i numbers = _mm512_castps_si512(x);
    const __m512i pairs = _mm512_or_si512(_mm512_permutexvar_epi32(upper, numbers),
                                          _mm512_srli_epi32(_mm512_permutexvar_epi32(lower, numbers), 16));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + i / 2), _mm512_castsi512_si256(pairs));
  }
  [[gnu::always_inline]] static int place(int line) { return line; }
  [[gnu::always_inline]] static F add(F sum, Pairs line, const std::uint32_t* factors, int) {
    const __m512i pair = _mm512_set1_epi32(static_cast<int>(*factors));
    return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(pair), reinterpret_cast<__m512bh>(line));
  }
  [[gnu::always_inline]] static F add_first(F sum, Pairs line, const std::uint32_t* factors) {
    const __m512i first = _mm512_set1_epi32(static_cast<int>(*factors & 0xffff0000U));
    return Avx512::fma(_mm512_castsi512_ps(first), Avx512::odd(line), sum);
  }
};

}  // namespace

// As many rows as cached_attention_avx512.
void cached_attention_avx512_bf16(const CachedAttentionArgs& args, const AttentionItem& item, void* scratch) {
  run_cached_attention<Avx512, DotProducts, 8, true>(args, item, scratch);
}

}  // namespace dolly4j
