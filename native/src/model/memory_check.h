// Refuses what memory cannot hold. The system hands out more memory than there is and ends the process when it is
// touched, so this looks before.
#pragma once

#include <cstdint>

#include "dolly4j.h"

namespace dolly4j {

/// What is about to be held in the memory of the machine.
struct MemoryNeed {
  std::int64_t weight_bytes;
  std::int64_t cache_bytes;
  d4j_dtype weight_type;
  d4j_dtype kv_type;
};

/// Throws D4J_OUT_OF_MEMORY with what is needed, what is available, and what to do, if `available` bytes are too few.
void check_memory(const MemoryNeed& need, std::int64_t available);

}  // namespace dolly4j
