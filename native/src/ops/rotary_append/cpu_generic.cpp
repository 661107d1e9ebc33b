#include "cpu/vector_generic.h"
#include "ops/rotary_append/cpu.h"
#include "ops/rotary_append/kernel.h"

namespace dolly4j {

void rotary_append_generic(const RotaryAppendArgs& args, int first_head, int last_head) {
  RotaryAppendKernel<Generic>::run(args, first_head, last_head);
}

}  // namespace dolly4j
