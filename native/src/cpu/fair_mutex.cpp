#include "cpu/fair_mutex.h"

namespace dolly4j {

void FairMutex::wait(std::uint64_t number) {
  std::unique_lock<std::mutex> lock(sleep_mutex_);
  wake_.wait(lock, [&] { return served_.load() == number; });
}

void FairMutex::wake_next() {
  // Between the other's look at served_ and its sleep it has the mutex.
  const std::lock_guard<std::mutex> lock(sleep_mutex_);
  wake_.notify_all();
}

}  // namespace dolly4j
