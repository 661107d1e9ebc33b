#include "cpu/vector_avx2.h"
#include "ops/cached_attention/cpu.h"
#include "ops/cached_attention/kernel.h"

namespace dolly4j {

// Four rows: their sums, two registers of each, keep both multiply-add units busy over four cycles of latency, and
// leave room for factors and numbers in the 16 registers.
void cached_attention_avx2(const CachedAttentionArgs& args, const AttentionItem& item, void* scratch) {
  run_cached_attention<Avx2, FmaProducts<Avx2>, 4, false>(args, item, scratch);
}

}  // namespace dolly4j
