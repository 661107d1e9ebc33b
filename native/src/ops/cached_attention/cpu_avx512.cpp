#include "cpu/vector_avx512.h"
#include "ops/cached_attention/cpu.h"
#include "ops/cached_attention/kernel.h"

namespace dolly4j {

// Sixteen rows: a sum of each in half of the 32 registers.
void cached_attention_avx512(const CachedAttentionArgs& args, const AttentionItem& item, void* scratch) {
  run_cached_attention<Avx512, 16>(args, item, scratch);
}

}  // namespace dolly4j
