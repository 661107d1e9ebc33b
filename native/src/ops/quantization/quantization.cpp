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

std::int64_t quantize_scratch_bytes(const PackedWeight& weight) {
  return std::int64_t{weight.padded_inputs()} * kBlockOutputs * std::int64_t{sizeof(float)};
}

}  // namespace dolly4j
