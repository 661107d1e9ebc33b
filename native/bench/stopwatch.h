// Times of what runs on the threads of the pool.
#pragma once

#include <time.h>

#include <algorithm>
#include <vector>

#include "cpu/thread_pool.h"

namespace dolly4j::bench {

// thread: only while a thread has a CPU, for a machine on which others work too. What the threads wait for each other
// is not in it.
enum class Clock { wall, thread };

struct Stopwatch {
  int threads;
  Clock clock;

  // Seconds that task(thread) takes on all threads; by the clock of threads, on the slowest.
  template <class Task>
  double time(const Task& task) const {
    std::vector<double> took(static_cast<std::size_t>(threads));
    const double start = seconds(Clock::wall);
    ThreadPool::shared().run(threads, [&](int thread) {
      const double before = seconds(Clock::thread);
      task(thread);
      took[static_cast<std::size_t>(thread)] = seconds(Clock::thread) - before;
    });
    return clock == Clock::wall ? seconds(Clock::wall) - start : *std::max_element(took.begin(), took.end());
  }

  // Every thread repeats step(thread), which returns how much it did, for about so long: what all do in a second.
  template <class Step>
  double rate(double least_seconds, const Step& step) const {
    std::vector<double> rates(static_cast<std::size_t>(threads));
    ThreadPool::shared().run(threads, [&](int thread) {
      double done = 0;
      double elapsed = 0;
      const double start = seconds(clock);
      while (elapsed < least_seconds) {
        done += static_cast<double>(step(thread));
        elapsed = seconds(clock) - start;
      }
      rates[static_cast<std::size_t>(thread)] = done / elapsed;
    });
    double sum = 0;
    for (const double rate : rates) {
      sum += rate;
    }
    return sum;
  }

 private:
  static double seconds(Clock clock) {
    timespec now;
    clock_gettime(clock == Clock::wall ? CLOCK_MONOTONIC : CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
  }
};

inline double median(std::vector<double> numbers) {
  std::sort(numbers.begin(), numbers.end());
  return numbers[numbers.size() / 2];
}

}  // namespace dolly4j::bench
