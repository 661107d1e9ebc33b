// The CPUs that this process may use.
#pragma once

#include <string>
#include <vector>

namespace dolly4j {

/// Numbers of the CPUs this process may run on, in an order that takes every core once before it takes the second CPU
/// of a core. `system` is where the kernel describes them. Empty if it does not say.
std::vector<int> cpus_by_core(const std::string& system = "/sys/devices/system/cpu");

/// How many cores these CPUs are of; CPUs of which the kernel does not say count as a core each. 0 if it does not say
/// which they are.
int core_count(const std::string& system = "/sys/devices/system/cpu");

}  // namespace dolly4j
