#include "ops/cached_attention.h"

#include "cpu/isa.h"
#include "ops/cached_attention/cpu.h"
#include "ops/cached_attention/scratch.h"
#include "ops/packed_linear.h"

namespace dolly4j {
namespace {

std::int64_t scratch_bytes(int head_size) { return AttentionScratch::bytes(head_size); }

CachedAttentionFn kernel(Isa isa) {
  switch (isa) {
#if defined(__x86_64__)
    case Isa::avx2:
      return cached_attention_avx2;
    case Isa::avx512_bf16:
      return vdpbf16ps_has_pairs_order() ? cached_attention_avx512_bf16 : cached_attention_avx512;
    case Isa::avx512:
    case Isa::amx:  // where VDPBF16PS is slower than two multiply-adds
      return cached_attention_avx512;
#endif
    default:
      return cached_attention_generic;
  }
}

}  // namespace

CachedAttention cached_attention(Isa isa) { return {kernel(isa), scratch_bytes}; }

}  // namespace dolly4j
