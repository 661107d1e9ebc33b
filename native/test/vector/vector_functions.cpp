#include "vector/vector_functions.h"

#include "cpu/isa.h"
#include "vector/cpu.h"

namespace dolly4j::test {

const VectorFunctions& vector_functions(Isa isa) {
  switch (isa) {
#if defined(__x86_64__)
    case Isa::avx2:
      return vector_functions_avx2;
    case Isa::avx512:
    case Isa::avx512_bf16:
    case Isa::amx:
      return vector_functions_avx512;
#endif
    default:
      return vector_functions_generic;
  }
}

}  // namespace dolly4j::test
