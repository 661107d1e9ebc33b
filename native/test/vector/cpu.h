// The VectorFunctions, each in a file compiled for the instruction set it is named after.
#pragma once

#include "vector/vector_functions.h"

namespace dolly4j::test {

extern const VectorFunctions vector_functions_generic;
extern const VectorFunctions vector_functions_avx2;
extern const VectorFunctions vector_functions_avx512;

}  // namespace dolly4j::test
