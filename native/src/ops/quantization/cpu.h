// The implementations of quantization.h, each in a file compiled for the instruction set it is named after.
#pragma once

#include "ops/quantization.h"

namespace dolly4j {

void quantize_outputs_generic(const QuantizeArgs& args);
void quantize_outputs_avx2(const QuantizeArgs& args);
void quantize_outputs_avx512(const QuantizeArgs& args);

}  // namespace dolly4j
