#include "cpu/aligned_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <string>

#include "api/error.h"

namespace dolly4j {
namespace {

Error no_memory(std::size_t bytes, const char* what) {
  return {D4J_OUT_OF_MEMORY, "no memory for " + std::to_string(bytes) + " bytes of " + what};
}

/// Bytes from the start of a page to `position`.
std::size_t in_page(std::uintptr_t position) { return position % static_cast<std::size_t>(sysconf(_SC_PAGESIZE)); }

}  // namespace

AlignedMemory::AlignedMemory(std::size_t bytes, const char* what) : bytes_(bytes) {
  if (bytes == 0) {
    return;
  }
  void* data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED) {
    throw no_memory(bytes, what);
  }
  data_ = data;
}

void AlignedMemory::prefer_huge_pages() const { madvise(data_, bytes_, MADV_HUGEPAGE); }

AlignedMemory AlignedMemory::of_file(int file, std::int64_t offset, std::size_t bytes, const char* what) {
  AlignedMemory memory;
  if (bytes == 0) {
    return memory;
  }
  // Only whole pages can be mapped.
  const std::size_t before = in_page(static_cast<std::uintptr_t>(offset));
  void* page = mmap(nullptr, bytes + before, PROT_READ, MAP_SHARED, file, offset - static_cast<std::int64_t>(before));
  if (page == MAP_FAILED) {
    throw no_memory(bytes, what);
  }
  memory.data_ = static_cast<std::uint8_t*>(page) + before;
  memory.bytes_ = bytes;
  return memory;
}

AlignedMemory::~AlignedMemory() {
  if (data_ != nullptr) {
    const std::size_t before = in_page(reinterpret_cast<std::uintptr_t>(data_));
    munmap(static_cast<std::uint8_t*>(data_) - before, bytes_ + before);
  }
}

}  // namespace dolly4j
