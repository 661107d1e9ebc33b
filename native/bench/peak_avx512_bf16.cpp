#include "cpu/vector_avx512.h"
#include "peak.h"

namespace dolly4j::bench {
namespace {

// 32 products and sums a lane pair.
struct Dot : Avx512 {
  static F fma(F a, F x, F) {
    const auto pairs = reinterpret_cast<__m512bh>(x);
    return _mm512_dpbf16_ps(a, pairs, pairs);
  }
};

}  // namespace

double peak_avx512_bf16(std::int64_t rounds) { return 2 * peak_of_fma<Dot, 16>(rounds); }

}  // namespace dolly4j::bench
