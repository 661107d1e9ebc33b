#include "cpu/aligned_memory.h"

#include <sys/mman.h>

#include <string>

#include "api/error.h"

namespace dolly4j {

AlignedMemory::AlignedMemory(std::size_t bytes, const char* what) : bytes_(bytes) {
  if (bytes == 0) {
    return;
  }
  void* data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED) {
    throw Error(D4J_OUT_OF_MEMORY, "no memory for " + std::to_string(bytes) + " bytes of " + what);
  }
  data_ = data;
}

AlignedMemory::~AlignedMemory() {
  if (data_ != nullptr) {
    munmap(data_, bytes_);
  }
}

}  // namespace dolly4j
