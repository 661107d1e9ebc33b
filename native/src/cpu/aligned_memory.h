// Large blocks of memory straight from the system, given back to it when freed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

namespace dolly4j {

/// Zeroed memory, page-aligned, or a part of a file. Pages become resident when first touched. Move-only.
class AlignedMemory {
 public:
  AlignedMemory() = default;

  /// Throws D4J_OUT_OF_MEMORY. `what` names the use in the message.
  AlignedMemory(std::size_t bytes, const char* what);

  /// Bytes [offset, offset + bytes) of an open file, which has them, to be read only: its page cache, which is shared
  /// with all who map it. Aligned as `offset` is, at most to a page. Throws D4J_OUT_OF_MEMORY.
  static AlignedMemory of_file(int file, std::int64_t offset, std::size_t bytes, const char* what);

  /// Asks the system for pages of 2 MB, for memory that will all be touched: fewer page faults. Only a hint.
  void prefer_huge_pages() const;

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
