// The kernel of cached_attention.h as each file cpu_*.cpp compiles it.
#pragma once

#include "ops/cached_attention.h"

namespace dolly4j {

void cached_attention_generic(const CachedAttentionArgs& args, const AttentionItem& item, void* scratch);
void cached_attention_avx2(const CachedAttentionArgs& args, const AttentionItem& item, void* scratch);
void cached_attention_avx512(const CachedAttentionArgs& args, const AttentionItem& item, void* scratch);
void cached_attention_avx512_bf16(const CachedAttentionArgs& args, const AttentionItem& item, void* scratch);

}  // namespace dolly4j
