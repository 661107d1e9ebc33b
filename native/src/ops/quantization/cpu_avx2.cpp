#include "cpu/vector_avx2.h"
#include "ops/quantization/cpu.h"
#include "ops/quantization/kernel.h"

namespace dolly4j {

void quantize_outputs_avx2(const QuantizeArgs& args) { Quantization<Avx2>::run(args); }

}  // namespace dolly4j
