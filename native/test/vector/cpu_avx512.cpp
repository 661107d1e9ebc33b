#include "cpu/vector_avx512.h"
#include "vector/cpu.h"
#include "vector/kernel.h"

namespace dolly4j::test {

const VectorFunctions vector_functions_avx512 = ArrayFunctions<Avx512>::kTable;

}  // namespace dolly4j::test
