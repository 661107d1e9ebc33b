#include "cpu/vector_avx2.h"
#include "vector/cpu.h"
#include "vector/kernel.h"

namespace dolly4j::test {

const VectorFunctions vector_functions_avx2 = ArrayFunctions<Avx2>::kTable;

}  // namespace dolly4j::test
