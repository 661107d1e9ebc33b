// A mutex that its callers get in the order in which they ask for it, each waiting asleep.
//
// std::mutex goes to whoever comes first after it was released, which is nearly always the thread that has released it
// and asks again at once: one that waits has to wake up meanwhile. Here every caller draws a number, as in a ticket
// lock, and the mutex serves one number after the other.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace dolly4j {

/// With std::lock_guard and its like. Costs as much as std::mutex while nobody waits.
class FairMutex {
 public:
  void lock();
  void unlock();

 private:
  void wait(std::uint64_t number);
  void wake_next();

  std::atomic<std::uint64_t> drawn_{0};   // numbers
  std::atomic<std::uint64_t> served_{0};  // the number that may have the mutex
  std::mutex sleep_mutex_;
  std::condition_variable wake_;
};

inline void FairMutex::lock() {
  const std::uint64_t number = drawn_.fetch_add(1);
  if (served_.load() != number) {
    wait(number);
  }
}

inline void FairMutex::unlock() {
  const std::uint64_t next = served_.load(std::memory_order_relaxed) + 1;
  served_.store(next);
  // Either this sees that the next number is drawn, or who draws it sees that it is served already.
  if (drawn_.load() != next) {
    wake_next();
  }
}

}  // namespace dolly4j
