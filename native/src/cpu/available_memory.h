// How much memory this process may still take, by what Linux says in /proc and in the files of its control groups.
#pragma once

#include <cstdint>
#include <string>

namespace dolly4j {

/// Bytes: the least of what the machine and every control group above the process leave, with page cache and caches of
/// the kernel that can be given up counted as free, and the swap that they leave. The largest number if the system says
/// nothing. The files are read below `root`.
std::int64_t available_memory(const std::string& root = "");

}  // namespace dolly4j
