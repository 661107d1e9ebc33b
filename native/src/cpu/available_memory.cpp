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

/// The files of a version of control groups, below the folder of a group.
struct GroupFiles {
  const char* limit;
  const char* usage;
  std::array<const char*, 3> caches;  // keys in memory.stat of what usage counts but is given up where memory is short
};

constexpr GroupFiles kVersion1 = {
    "/memory.limit_in_bytes", "/memory.usage_in_bytes", {"total_inactive_file", "total_active_file", nullptr}};
constexpr GroupFiles kVersion2 = {
    "/memory.max", "/memory.current", {"inactive_file", "active_file", "slab_reclaimable"}};

std::int64_t cache_bytes(const std::string& folder, const GroupFiles& files) {
  std::int64_t bytes = 0;
  for (const char* key : files.caches) {
    bytes += key == nullptr ? 0 : number_of(folder + "/memory.stat", key).value_or(0);
  }
  return bytes;
}

/// The statistics lag behind, so they may hold more cache than the group still uses.
std::int64_t free_bytes(std::int64_t limit, std::int64_t usage, std::int64_t cache) {
  return std::max<std::int64_t>(limit - std::max<std::int64_t>(usage - cache, 0), 0);
}

/// What the group at `path` and those above it leave. A container may see its own group at the mount point, under
/// whatever path: folders that are not there limit nothing.
std::int64_t left_by_groups(const std::string& mount, std::string path, const GroupFiles& files) {
  std::int64_t left = std::numeric_limits<std::int64_t>::max();
  while (true) {
    const std::string folder = mount + path;
    const std::optional<std::int64_t> limit = number_in(folder + files.limit);
    const std::optional<std::int64_t> usage = number_in(folder + files.usage);
    if (limit && usage) {
      left = std::min(left, free_bytes(*limit, *usage, cache_bytes(folder, files)));
    }
    if (path.empty()) {
      return left;
    }
    path.resize(path.find_last_of('/'));
  }
}

/// A line of /proc/self/cgroup is ID:CONTROLLERS:PATH; version 2 names no controllers.
std::int64_t left_by_group_line(const std::string& root, const std::string& line) {
  const std::size_t first = line.find(':');
  const std::size_t second = line.find(':', first + 1);
  if (first == std::string::npos || second == std::string::npos) {
    return std::numeric_limits<std::int64_t>::max();
  }
  const std::string controllers = ',' + line.substr(first + 1, second - first - 1) + ',';
  const std::string path = line.substr(second + 1);
  if (path.empty() || path[0] != '/') {
    return std::numeric_limits<std::int64_t>::max();
  }
  if (controllers == ",,") {
    return left_by_groups(root + "/sys/fs/cgroup", path, kVersion2);
  }
  if (controllers.find(",memory,") != std::string::npos) {
    return left_by_groups(root + "/sys/fs/cgroup/memory", path, kVersion1);
  }
  return std::numeric_limits<std::int64_t>::max();
}

}  // namespace

std::int64_t available_memory(const std::string& root) {
  const std::string machine = root + "/proc/meminfo";
  const std::optional<std::int64_t> kilobytes = number_of(machine, "MemAvailable:");
  std::int64_t left = kilobytes ? *kilobytes * 1024 : std::numeric_limits<std::int64_t>::max();
  std::ifstream groups(root + "/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    left = std::min(left, left_by_group_line(root, line));
  }
  const std::int64_t swap = number_of(machine, "SwapFree:").value_or(0) * 1024;
  return left > std::numeric_limits<std::int64_t>::max() - swap ? left : left + swap;
}

}  // namespace dolly4j
