#include "cpu/cores.h"

#include <sched.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <utility>

namespace dolly4j {
namespace {

/// The number in a file of one line, or -1.
int number_in(const std::string& path) {
  std::ifstream file(path);
  int number = -1;
  file >> number;
  return file ? number : -1;
}

/// The CPUs that this process may run on, each after the number of CPUs of the same core that come before it.
std::vector<std::pair<int, int>> ranked_cpus(const std::string& system) {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) {
    return {};
  }
  std::vector<std::pair<int, int>> ranked;
  std::map<std::pair<int, int>, int> seen;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(static_cast<std::size_t>(cpu), &allowed)) {
      continue;
    }
    const std::string topology = system + "/cpu" + std::to_string(cpu) + "/topology/";
    const std::pair<int, int> core{number_in(topology + "physical_package_id"), number_in(topology + "core_id")};
    ranked.emplace_back(core.second < 0 ? 0 : seen[core]++, cpu);
  }
  std::sort(ranked.begin(), ranked.end());
  return ranked;
}

}  // namespace

std::vector<int> cpus_by_core(const std::string& system) {
  std::vector<int> cpus;
  for (const auto& [rank, cpu] : ranked_cpus(system)) {
    cpus.push_back(cpu);
  }
  return cpus;
}

int core_count(const std::string& system) {
  const std::vector<std::pair<int, int>> cpus = ranked_cpus(system);
  return static_cast<int>(std::count_if(cpus.begin(), cpus.end(), [](const auto& cpu) { return cpu.first == 0; }));
}

}  // namespace dolly4j
