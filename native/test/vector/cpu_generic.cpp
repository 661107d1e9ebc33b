#include "cpu/vector_generic.h"
#include "vector/cpu.h"
#include "vector/kernel.h"

namespace dolly4j::test {

const VectorFunctions vector_functions_generic = ArrayFunctions<Generic>::kTable;

}  // namespace dolly4j::test
