#include "cpu/available_memory.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <limits>
#include <optional>
#include <sstream>

namespace dolly4j {
namespace {

/// The number that a file begins with; none if there is no such file, or if it says "max".
std::optional<std::int64_t> number_in(const std::string& path) {
  std::ifstream file(path);
  std::int64_t number = 0;
  return file >> number ? std::optional(number) : std::nullopt;
}

/// The number after a key, in a file of lines of keys and numbers.
std::optional<std::int64_t> number_of(const std::string& path, const std::string& key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string word;
    std::int64_t number = 0;
    if (words >> word && word == key && words >> number) {
      return number;
    }
  }
  return std::nullopt;
}

/// What may be taken still.
struct Left {
  std::int64_t memory;
  std::int64_t swap;
};

/// The files of a version of control groups, below the folder of a group.
struct GroupFiles {
  const char* limit;
  const char* usage;
  const char* swap_limit;
  const char* swap_usage;
  bool swap_limit_counts_memory;
  std::array<const char*, 3> caches;  // keys in memory.stat of what usage counts but is given up where memory is short
};

constexpr GroupFiles kVersion1 = {"/memory.limit_in_bytes",
                                  "/memory.usage_in_bytes",
                                  "/memory.memsw.limit_in_bytes",
                                  "/memory.memsw.usage_in_bytes",
                                  true,
                                  {"total_inactive_file", "total_active_file", nullptr}};
constexpr GroupFiles kVersion2 = {"/memory.max",
                                  "/memory.current",
                                  "/memory.swap.max",
                                  "/memory.swap.current",
                                  false,
                                  {"inactive_file", "active_file", "slab_reclaimable"}};

std::int64_t cache_bytes(const std::string& folder, const GroupFiles& files) {
  std::int64_t bytes = 0;
  for (const char* key : files.caches) {
    bytes += key == nullptr ? 0 : number_of(folder + "/memory.stat", key).value_or(0);
  }
  return bytes;
}

/// What a limit leaves; the largest number if there is none.
std::int64_t free_bytes(const std::string& limit_file, const std::string& usage_file, std::int64_t cache) {
  const std::optional<std::int64_t> limit = number_in(limit_file);
  const std::optional<std::int64_t> usage = number_in(usage_file);
  if (!limit || !usage) {
    return std::numeric_limits<std::int64_t>::max();
  }
  // The statistics lag behind, so they may hold more cache than the group still uses.
  return std::max<std::int64_t>(*limit - std::max<std::int64_t>(*usage - cache, 0), 0);
}

/// Takes off what the group at `path` and those above it do not leave. A container may see its own group at the mount
/// point, under whatever path: folders that are not there limit nothing.
void limit_by_groups(const std::string& mount, std::string path, const GroupFiles& files, Left& left) {
  while (true) {
    const std::string folder = mount + path;
    const std::int64_t cache = cache_bytes(folder, files);
    left.memory = std::min(left.memory, free_bytes(folder + files.limit, folder + files.usage, cache));
    // Version 1 limits the sum of memory and swap: what is left of it for swap is what memory leaves.
    const bool with_memory = files.swap_limit_counts_memory;
    const std::int64_t swap =
        free_bytes(folder + files.swap_limit, folder + files.swap_usage, with_memory ? cache : 0) -
        (with_memory ? left.memory : 0);
    left.swap = std::min(left.swap, std::max<std::int64_t>(swap, 0));
    if (path.empty()) {
      return;
    }
    path.resize(path.find_last_of('/'));
  }
}

/// A line of /proc/self/cgroup is ID:CONTROLLERS:PATH; version 2 names no controllers.
void limit_by_group_line(const std::string& root, const std::string& line, Left& left) {
  const std::size_t first = line.find(':');
  const std::size_t second = line.find(':', first + 1);
  if (first == std::string::npos || second == std::string::npos) {
    return;
  }
  const std::string controllers = ',' + line.substr(first + 1, second - first - 1) + ',';
  const std::string path = line.substr(second + 1);
  if (path.empty() || path[0] != '/') {
    return;
  }
  if (controllers == ",,") {
    limit_by_groups(root + "/sys/fs/cgroup", path, kVersion2, left);
  } else if (controllers.find(",memory,") != std::string::npos) {
    limit_by_groups(root + "/sys/fs/cgroup/memory", path, kVersion1, left);
  }
}

}  // namespace

std::int64_t available_memory(const std::string& root) {
  const std::string machine = root + "/proc/meminfo";
  const std::optional<std::int64_t> kilobytes = number_of(machine, "MemAvailable:");
  Left left = {kilobytes ? *kilobytes * 1024 : std::numeric_limits<std::int64_t>::max(),
               number_of(machine, "SwapFree:").value_or(0) * 1024};
  std::ifstream groups(root + "/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    limit_by_group_line(root, line, left);
  }
  return left.memory > std::numeric_limits<std::int64_t>::max() - left.swap ? left.memory : left.memory + left.swap;
}

}  // namespace dolly4j
