// Threads for the phases of a step: the same work on every thread, a barrier at the end.
//
// One pool for the process, so that two models do not take twice the CPUs. Its threads wait for the next phase by
// spinning for about 50 us, which is longer than the gaps within a step, and then sleep: an idle pool costs no CPU.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "cpu/fair_mutex.h"

namespace dolly4j {

class ThreadPool {
 public:
  /// The pool of this process. Lives until the process ends.
  static ThreadPool& shared();

  ThreadPool() = default;
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;
  ~ThreadPool();

  /// Binds every thread that is started from now on to a CPU of its own, cores before second CPUs of a core: the i-th
  /// started to the i-th after the first, which is left to the callers. Where there are more threads than CPUs the
  /// others are not bound.
  void bind_threads() { binds_.store(true); }

  /// The right to run phases, as long as it lives. Callers on several threads have it one after the other, in the order
  /// in which they asked, and wait for it asleep. Who has it must not ask for another.
  class Turn {
   public:
    explicit Turn(ThreadPool& pool) : pool_(pool), lock_(pool.turn_) {}

    /// Calls task(thread) for thread = 0 .. threads - 1, each on a thread of its own and with denormals flushed; 0 is
    /// the caller's. Returns when all have returned. The task must not throw, and must not run another. Throws
    /// D4J_OUT_OF_MEMORY if the system gives no more threads.
    template <typename Task>
    void run(int threads, const Task& task) const {
      pool_.run_phase(
          threads, [](const void* context, int thread) { (*static_cast<const Task*>(context))(thread); }, &task);
    }

   private:
    ThreadPool& pool_;
    const std::lock_guard<FairMutex> lock_;
  };

  /// A turn of one phase.
  template <typename Task>
  void run(int threads, const Task& task) {
    Turn(*this).run(threads, task);
  }

 private:
  using Function = void (*)(const void* context, int thread);

  void run_phase(int threads, Function function, const void* context);
  void grow(int workers);
  static void bind(std::thread& worker, int thread);
  void work(int thread);
  std::uint64_t next_phase(std::uint64_t seen);

  FairMutex turn_;  // held by the caller whose phases run; of workers_ too
  std::vector<std::thread> workers_;

  // The phase: its number, and in the low 16 bits how many threads take part. What follows is written before it and
  // read by these threads alone, so that a thread that looks late, without a part in the phase, touches nothing of the
  // next.
  std::atomic<std::uint64_t> phase_{0};
  Function function_ = nullptr;
  const void* context_ = nullptr;
  std::atomic<int> unfinished_{0};

  std::mutex sleep_mutex_;
  std::condition_variable wake_;
  std::atomic<int> sleepers_{0};
  std::atomic<bool> ending_{false};
  std::atomic<bool> binds_{false};
};

}  // namespace dolly4j
