#include "cpu/vector_avx512.h"
#include "peak.h"

namespace dolly4j::bench {

double peak_avx512(std::int64_t rounds) { return peak_of_fma<Avx512, 16>(rounds); }

}  // namespace dolly4j::bench
