// Memory whose end is the end of what may be touched: the page behind is closed, so that a read or write beyond by any
// instruction, also one that AddressSanitizer does not see, ends the test.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <new>
#include <utility>
#include <vector>

namespace dolly4j::test {

template <class Number>
class GuardedMemory {
 public:
  explicit GuardedMemory(std::size_t count) : count_(count) {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    const std::size_t open = (count * sizeof(Number) + page - 1) / page * page;
    bytes_ = open + page;
    void* pages = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED || mprotect(static_cast<char*>(pages) + open, page, PROT_NONE) != 0) {
      throw std::bad_alloc();
    }
    pages_ = pages;
    data_ = reinterpret_cast<Number*>(static_cast<char*>(pages) + open) - count;
  }
  explicit GuardedMemory(const std::vector<Number>& numbers) : GuardedMemory(numbers.size()) {
    std::copy(numbers.begin(), numbers.end(), data_);
  }
  GuardedMemory(GuardedMemory&& other) noexcept
      : count_(std::exchange(other.count_, 0)),
        bytes_(std::exchange(other.bytes_, 0)),
        pages_(std::exchange(other.pages_, nullptr)),
        data_(std::exchange(other.data_, nullptr)) {}
  GuardedMemory(const GuardedMemory&) = delete;
  GuardedMemory& operator=(const GuardedMemory&) = delete;
  ~GuardedMemory() {
    if (pages_ != nullptr) {
      munmap(pages_, bytes_);
    }
  }

  Number* data() { return data_; }
  const Number* data() const { return data_; }
  std::size_t size() const { return count_; }
  Number& operator[](std::size_t i) { return data_[i]; }

 private:
  std::size_t count_;
  std::size_t bytes_ = 0;
  void* pages_ = nullptr;
  Number* data_ = nullptr;
};

}  // namespace dolly4j::test
