#include "cpu/thread_pool.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "cpu/cores.h"
#include "random.h"

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace dolly4j::test {
namespace {

TEST(ThreadPool, callsTheTaskOnceForEveryThreadOnAThreadOfItsOwn) {
  ThreadPool pool;
  for (const int threads : {1, 2, 3, 8}) {
    std::vector<int> calls(threads);
    std::vector<std::thread::id> ids(threads);
    pool.run(threads, [&](int thread) {
      calls[thread]++;
      ids[thread] = std::this_thread::get_id();
    });
    EXPECT_EQ(calls, std::vector<int>(threads, 1));
    EXPECT_EQ(ids[0], std::this_thread::get_id());
    EXPECT_EQ(std::set<std::thread::id>(ids.begin(), ids.end()).size(), static_cast<std::size_t>(threads));
  }
}

std::vector<int> cpus_of_this_thread() {
  cpu_set_t set;
  CPU_ZERO(&set);
  pthread_getaffinity_np(pthread_self(), sizeof set, &set);
  std::vector<int> cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
    if (CPU_ISSET(static_cast<std::size_t>(cpu), &set)) {
      cpus.push_back(cpu);
    }
  }
  return cpus;
}

TEST(ThreadPool, bindsItsThreadsToACpuEachAndLeavesTheCallerAndTheRest) {
  const std::vector<int> all = cpus_by_core();
  const std::vector<int> before = cpus_of_this_thread();
  const int threads = static_cast<int>(all.size()) + 2;
  for (const bool bound : {false, true}) {
    ThreadPool pool;
    if (bound) {
      pool.bind_threads();
    }
    std::vector<std::vector<int>> cpus(threads);
    pool.run(threads, [&](int thread) { cpus[thread] = cpus_of_this_thread(); });
    for (int thread = 0; thread < threads; thread++) {
      const bool has_one = bound && thread > 0 && thread < static_cast<int>(all.size());
      EXPECT_EQ(cpus[thread], has_one ? std::vector<int>{all[thread]} : before) << thread;
    }
  }
}

class Cores : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(root_); }
  void TearDown() override { std::filesystem::remove_all(root_); }

  void describe(int cpu, int package, int core) {
    const std::filesystem::path folder = root_ / ("cpu" + std::to_string(cpu)) / "topology";
    std::filesystem::create_directories(folder);
    std::ofstream(folder / "physical_package_id") << package << "\n";
    std::ofstream(folder / "core_id") << core << "\n";
  }

  const std::filesystem::path root_ =
      std::filesystem::temp_directory_path() / ("dolly4j-cores-" + std::to_string(getpid()));
};

TEST_F(Cores, secondCpusOfACoreComeLast) {
  const std::vector<int> allowed = cpus_of_this_thread();
  if (allowed.size() < 2) {
    GTEST_SKIP() << "this process may use one CPU only";
  }
  // The second CPU is on the core of the first, all others have one of their own.
  for (const int cpu : allowed) {
    describe(cpu, 0, cpu == allowed[1] ? allowed[0] : cpu);
  }
  std::vector<int> expected = allowed;
  expected.erase(expected.begin() + 1);
  expected.push_back(allowed[1]);
  EXPECT_EQ(cpus_by_core(root_), expected);
  EXPECT_EQ(core_count(root_), static_cast<int>(allowed.size()) - 1);
}

TEST_F(Cores, areByNumberAndAsManyAsCpusWhereNothingIsKnown) {
  EXPECT_EQ(cpus_by_core(root_), cpus_of_this_thread());
  EXPECT_EQ(core_count(root_), static_cast<int>(cpus_of_this_thread().size()));
}

TEST(CoreCount, leavesOutCoresThatThisThreadMayNotUse) {
  const std::vector<int> allowed = cpus_of_this_thread();
  int count = 0;
  std::thread([&] {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<std::size_t>(allowed[0]), &one);
    ASSERT_EQ(pthread_setaffinity_np(pthread_self(), sizeof one, &one), 0);
    count = core_count();
  }).join();
  EXPECT_EQ(count, 1);
}

// Every phase reads what all threads of the one before have written.
TEST(ThreadPool, phasesOfChangingThreadCountsFollowEachOther) {
  constexpr int kPhases = 1000;
  constexpr int kMostThreads = 8;
  ThreadPool pool;
  Random random(1);
  std::vector<std::int64_t> before(kMostThreads, 1);
  std::vector<std::int64_t> after(kMostThreads);
  for (int phase = 0; phase < kPhases; phase++) {
    const int threads = 1 + random.below(kMostThreads);
    std::fill(after.begin(), after.end(), 0);
    pool.run(threads, [&](int thread) {
      for (int i = thread; i < kMostThreads; i += threads) {
        std::int64_t sum = phase;
        for (const std::int64_t number : before) {
          sum = sum * 31 + number;
        }
        after[i] = sum % 1000003 + i;
      }
    });
    std::int64_t expected = phase;
    for (const std::int64_t number : before) {
      expected = expected * 31 + number;
    }
    for (int i = 0; i < kMostThreads; i++) {
      ASSERT_EQ(after[i], expected % 1000003 + i) << "phase " << phase << " with " << threads << " threads";
    }
    before.swap(after);
  }
}

TEST(ThreadPool, wakesThreadsThatSleep) {
  ThreadPool pool;
  for (int i = 0; i < 20; i++) {
    std::vector<int> calls(4);
    pool.run(4, [&](int thread) { calls[thread]++; });
    EXPECT_EQ(calls, std::vector<int>(4, 1));
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

TEST(ThreadPool, anIdlePoolCostsNoCpu) {
  ThreadPool pool;
  pool.run(8, [](int) {});
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const auto cpu_seconds = [] {
    timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
  };
  const double before = cpu_seconds();
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  EXPECT_LT(cpu_seconds() - before, 0.005);
}

TEST(ThreadPool, canBeMadeAndDestroyedAtAnyTime) {
  for (int i = 0; i < 100; i++) {
    ThreadPool pool;
    if (i % 3 != 0) {
      pool.run(1 + i % 5, [](int) {});
    }
  }
}

TEST(ThreadPool, itsThreadsTakeNoSignals) {
  ThreadPool pool;
  std::vector<int> blocked(3);
  pool.run(3, [&](int thread) {
    sigset_t signals;
    pthread_sigmask(SIG_SETMASK, nullptr, &signals);
    blocked[thread] = sigismember(&signals, SIGTERM) == 1 && sigismember(&signals, SIGUSR1) == 1;
  });
  EXPECT_EQ(blocked, (std::vector<int>{0, 1, 1}));
}

// Half of the smallest normal number, computed where the compiler does not see it.
float half_of_smallest() {
  volatile float smallest = 0x1p-126F;
  volatile float half = 0.5F;
  return smallest * half;
}

TEST(ThreadPool, tasksComputeWithDenormalsFlushedAndTheCallerAfterwardsAsBefore) {
#if !defined(__x86_64__) && !defined(__aarch64__)
  GTEST_SKIP() << "denormals are not flushed on this platform";
#endif
  ThreadPool pool;
  for (const int threads : {1, 4}) {
    std::vector<float> results(threads, 1);
    pool.run(threads, [&](int thread) { results[thread] = half_of_smallest(); });
    EXPECT_EQ(results, std::vector<float>(threads, 0));
    EXPECT_EQ(half_of_smallest(), 0x1p-127F);
  }
}

#if defined(__x86_64__)
TEST(ThreadPool, tasksHaveOneControlRegisterWhateverTheCallersIsWhichIsPutBack) {
  constexpr unsigned kKernels =
      0x1f80 | 0x8040;  // traps masked, rounding to nearest; flush to zero, denormals are zero
  const unsigned before = _mm_getcsr();
  // The pool's threads are started by this call, and a thread has the register of the one that starts it.
  _mm_setcsr(before | _MM_ROUND_TOWARD_ZERO);
  const unsigned callers = _mm_getcsr();
  std::vector<unsigned> inside(3);
  ThreadPool pool;
  pool.run(3, [&](int thread) { inside[thread] = _mm_getcsr() & ~static_cast<unsigned>(_MM_EXCEPT_MASK); });
  const unsigned after = _mm_getcsr();
  _mm_setcsr(before);
  EXPECT_EQ(inside, std::vector<unsigned>(3, kKernels));
  EXPECT_EQ(after, callers);
}
#endif

}  // namespace
}  // namespace dolly4j::test
