#include "cpu/vector_avx512.h"
#include "ops/quantization/cpu.h"
#include "ops/quantization/kernel.h"

namespace dolly4j {

void quantize_outputs_avx512(const QuantizeArgs& args) { Quantization<Avx512>::run(args); }

}  // namespace dolly4j
