#include "cpu/vector_avx2.h"
#include "peak.h"

namespace dolly4j::bench {

double peak_avx2(std::int64_t rounds) { return peak_of_fma<Avx2, 6>(rounds); }

}  // namespace dolly4j::bench
