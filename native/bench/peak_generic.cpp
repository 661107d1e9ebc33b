#include "cpu/vector_generic.h"
#include "peak.h"

namespace dolly4j::bench {

double peak_generic(std::int64_t rounds) { return peak_of_fma<Generic, 2>(rounds); }

}  // namespace dolly4j::bench
