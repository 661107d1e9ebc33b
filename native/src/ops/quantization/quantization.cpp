#include "ops/quantization.h"

#include "ops/quantization/cpu.h"

namespace dolly4j {

QuantizeFn quantize_outputs(Isa isa) {
  switch (isa) {
#if defined(__x86_64__)
    case Isa::avx2:
      return quantize_outputs_avx2;
    case Isa::avx512:
    case Isa::avx512_bf16:
    case Isa::amx:
      return quantize_outputs_avx512;
#endif
    default:
      return quantize_outputs_generic;
  }
}

}  // namespace dolly4j
