// The kernel of rotary_append.h as each file cpu_*.cpp compiles it.
#pragma once

#include "ops/rotary_append.h"

namespace dolly4j {

void rotary_append_generic(const RotaryAppendArgs& args, int first_head, int last_head);
void rotary_append_avx2(const RotaryAppendArgs& args, int first_head, int last_head);
void rotary_append_avx512(const RotaryAppendArgs& args, int first_head, int last_head);

}  // namespace dolly4j
