#include "cpu/vector_avx512.h"
#include "ops/rotary_append/cpu.h"
#include "ops/rotary_append/kernel.h"

namespace dolly4j {

void rotary_append_avx512(const RotaryAppendArgs& args, int first_head, int last_head) {
  RotaryAppendKernel<Avx512>::run(args, first_head, last_head);
}

}  // namespace dolly4j
