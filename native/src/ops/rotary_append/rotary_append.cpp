#include "ops/rotary_append.h"

#include "cpu/isa.h"
#include "ops/rotary_append/cpu.h"

namespace dolly4j {

RotaryAppendFn rotary_append(Isa isa) {
  switch (isa) {
#if defined(__x86_64__)
    case Isa::avx2:
      return rotary_append_avx2;
    case Isa::avx512:
    case Isa::avx512_bf16:
    case Isa::amx:
      return rotary_append_avx512;
#endif
    default:
      return rotary_append_generic;
  }
}

}  // namespace dolly4j
