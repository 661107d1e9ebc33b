#include "cpu/thread_pool.h"

#include <pthread.h>
#include <sched.h>

#include <chrono>
#include <csignal>
#include <string>
#include <system_error>

#include "api/error.h"
#include "cpu/cores.h"
#include "cpu/flush_denormals.h"

namespace dolly4j {
namespace {

constexpr auto kSpin = std::chrono::microseconds(50);
constexpr int kPausesPerLook = 64;  // between two looks at the clock
constexpr std::uint64_t kThreadsMask = 0xffff;
constexpr std::uint64_t kNextPhase = kThreadsMask + 1;

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

/// Spins until the condition holds or kSpin is over; returns whether it holds.
template <typename Condition>
bool spin_until(const Condition& condition) {
  const auto end = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < kPausesPerLook; ++i) {
      if (condition()) {
        return true;
      }
      pause();
    }
  } while (std::chrono::steady_clock::now() < end);
  return condition();
}

}  // namespace

ThreadPool& ThreadPool::shared() {
  // Never freed: a static destructor would run while a thread of the JVM may still be in a step.
  static ThreadPool* pool = new ThreadPool();
  return *pool;
}

ThreadPool::~ThreadPool() {
  ending_.store(true);
  phase_.fetch_add(kNextPhase);
  {
    const std::lock_guard<std::mutex> lock(sleep_mutex_);
    wake_.notify_all();
  }
  for (std::thread& worker : workers_) {
    worker.join();
  }
}

void ThreadPool::grow(int workers) {
  // Signals are the business of the JVM's own threads.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    while (static_cast<int>(workers_.size()) < workers) {
      const int thread = static_cast<int>(workers_.size()) + 1;
      workers_.emplace_back([this, thread] { work(thread); });
      if (binds_.load()) {
        bind(workers_.back(), thread);
      }
      pthread_setname_np(workers_.back().native_handle(), ("dolly4j-" + std::to_string(thread)).c_str());
    }
  } catch (const std::system_error& error) {
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    throw Error(D4J_OUT_OF_MEMORY, std::string("cannot start a thread: ") + error.what());
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void ThreadPool::bind(std::thread& worker, int thread) {
  const std::vector<int> cpus = cpus_by_core();
  if (thread < static_cast<int>(cpus.size())) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<std::size_t>(cpus[static_cast<std::size_t>(thread)]), &one);
    // A CPU that was taken from the process meanwhile is no reason to fail.
    pthread_setaffinity_np(worker.native_handle(), sizeof one, &one);
  }
}

void ThreadPool::run_phase(int threads, Function function, const void* context) {
  const FlushDenormals flush;
  if (threads > 1) {
    if (static_cast<int>(workers_.size()) < threads - 1) {
      grow(threads - 1);
    }
    function_ = function;
    context_ = context;
    unfinished_.store(threads - 1);
    phase_.store((phase_.load() & ~kThreadsMask) + kNextPhase + static_cast<std::uint64_t>(threads));
    if (sleepers_.load() > 0) {
      const std::lock_guard<std::mutex> sleep_lock(sleep_mutex_);
      wake_.notify_all();
    }
  }
  function(context, 0);
  if (threads > 1) {
    const auto finished = [this] { return unfinished_.load(std::memory_order_acquire) == 0; };
    while (!spin_until(finished)) {
      sched_yield();  // a worker may wait for this CPU
    }
  }
}

/// Waits for a phase other than the one seen last, and returns it.
std::uint64_t ThreadPool::next_phase(std::uint64_t seen) {
  const auto begun = [&] { return phase_.load() != seen; };
  if (!spin_until(begun)) {
    std::unique_lock<std::mutex> lock(sleep_mutex_);
    sleepers_.fetch_add(1);
    wake_.wait(lock, begun);
    sleepers_.fetch_sub(1);
  }
  return phase_.load();
}

void ThreadPool::work(int thread) {
  const FlushDenormals flush;
  std::uint64_t seen = 0;
  while (true) {
    seen = next_phase(seen);
    if (ending_.load()) {
      return;
    }
    if (thread < static_cast<int>(seen & kThreadsMask)) {
      function_(context_, thread);
      unfinished_.fetch_sub(1, std::memory_order_release);
    }
  }
}

}  // namespace dolly4j
