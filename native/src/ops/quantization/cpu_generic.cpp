#include "cpu/vector_generic.h"
#include "ops/quantization/cpu.h"
#include "ops/quantization/kernel.h"

namespace dolly4j {

void quantize_outputs_generic(const QuantizeArgs& args) { Quantization<Generic>::run(args); }

}  // namespace dolly4j
