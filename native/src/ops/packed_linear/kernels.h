// packed_linear.h of every instruction set; those of x86 exist on that platform only.
#pragma once

#include "ops/packed_linear.h"

namespace dolly4j {

PackedLinear packed_linear_generic(WeightType type, SumOrder order);
PackedLinear packed_linear_avx2(WeightType type, SumOrder order);
PackedLinear packed_linear_avx512(WeightType type, SumOrder order);

// Bfloat16 in pairs order, by VDPBF16PS.
PackedLinear packed_linear_avx512_bf16();

// Bfloat16 in tiles order, by TDPBF16PS; int8 and int4 by TDPBSUD.
PackedLinear packed_linear_amx(WeightType type);

}  // namespace dolly4j
