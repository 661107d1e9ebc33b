// Times of what runs on the threads of the pool.
#pragma once

#include <time.h>

#include <algorithm>
#include <chrono>
#include <vector>

#include "cpu/thread_pool.h"

namespace dolly4j::bench {

// thread: of the slowest thread, only while it has a CPU, for a machine on which others work too. What the threads wait
// for each other is not in it.
enum class Clock { wall, thread };

struct Stopwatch {
  int threads;
  Clock clock;

  // Seconds that task(thread) takes on all threads.
  template <class Task>
  double time(const Task& task) const {
    std::vector<double> took(static_cast<std::size_t>(threads));
    const auto start = std::chrono::steady_clock::now();
    ThreadPool::shared().run(threads, [&](int thread) {
      const double before = thread_seconds();
      task(thread);
      took[static_cast<std::size_t>(thread)] = thread_seconds() - before;
    });
    const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - start;
    return clock == Clock::wall ? wall.count() : *std::max_element(took.begin(), took.end());
  }

 private:
  static double thread_seconds() {
    timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
  }
};

inline double median(std::vector<double> numbers) {
  std::sort(numbers.begin(), numbers.end());
  return numbers[numbers.size() / 2];
}

}  // namespace dolly4j::bench
