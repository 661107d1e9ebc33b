#include "cpu/vector_generic.h"
#include "ops/cached_attention/cpu.h"
#include "ops/cached_attention/kernel.h"

namespace dolly4j {

void cached_attention_generic(const CachedAttentionArgs& args, const AttentionItem& item, void* scratch) {
  run_cached_attention<Generic, FmaProducts<Generic>, 1, true>(args, item, scratch);
}

}  // namespace dolly4j
