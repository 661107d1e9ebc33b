#include "cpu/vector_avx512.h"
#include "ops/cached_attention/cpu.h"
#include "ops/cached_attention/kernel.h"

namespace dolly4j {

// Eight rows: their even and odd sums and those of the chains before, in 24 of the 32 registers.
void cached_attention_avx512(const CachedAttentionArgs& args, const AttentionItem& item, void* scratch) {
  run_cached_attention<Avx512, FmaProducts<Avx512>, 8, true>(args, item, scratch);
}

}  // namespace dolly4j
