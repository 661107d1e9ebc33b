// Large blocks of zeroed memory, page-aligned, given back to the system when freed.
#pragma once

#include <cstddef>
#include <utility>

namespace dolly4j {

/// Zeroed memory straight from the system; pages become resident when first touched. Move-only.
class AlignedMemory {
 public:
  AlignedMemory() = default;

  /// Throws D4J_OUT_OF_MEMORY. `what` names the use in the message.
  AlignedMemory(std::size_t bytes, const char* what);

  AlignedMemory(AlignedMemory&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  AlignedMemory& operator=(AlignedMemory&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  AlignedMemory(const AlignedMemory&) = delete;
  AlignedMemory& operator=(const AlignedMemory&) = delete;
  ~AlignedMemory();

  void* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }

 private:
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace dolly4j
