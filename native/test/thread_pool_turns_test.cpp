// Callers on several threads, and decoders, of one pool.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "caller_thread.h"
#include "cpu/thread_pool.h"
#include "loaded_model.h"
#include "random.h"
#include "same_bits.h"

namespace dolly4j::test {
namespace {

TEST(ThreadPoolTurns, callersOnSeveralThreadsHaveThemOneAfterTheOther) {
  constexpr int kCallers = 4;
  constexpr int kPhases = 500;
  ThreadPool pool;
  int running = 0;  // guarded by the turns alone
  std::vector<std::int64_t> sums(kCallers);
  std::vector<std::thread> callers;
  for (int caller = 0; caller < kCallers; caller++) {
    callers.emplace_back([&, caller] {
      Random random(caller);
      for (int phase = 0; phase < kPhases; phase++) {
        const int threads = 1 + random.below(4);
        std::vector<int> done(threads);
        pool.run(threads, [&](int thread) {
          if (thread == 0) {
            running++;
          }
          done[thread] = 1;
          if (thread == 0) {
            EXPECT_EQ(running, 1);
            running--;
          }
        });
        sums[caller] += std::count(done.begin(), done.end(), 1) == threads;
      }
    });
  }
  for (std::thread& caller : callers) {
    caller.join();
  }
  EXPECT_EQ(sums, std::vector<std::int64_t>(kCallers, kPhases));
}

// Each ends its phase only once the other waits.
TEST(ThreadPoolTurns, whoWaitsIsNextHoweverSoonTheOtherAsksAgain) {
  constexpr int kPhases = 100;
  for (const int threads : {1, 3}) {
    ThreadPool pool;
    std::vector<int> turns;  // guarded by the turns
    CallerThread* callers[2];
    std::atomic<bool> begins{false};
    const auto work = [&](CallerThread& self, int own) {
      while (!begins.load()) {
        std::this_thread::yield();
      }
      for (int phase = 0; phase < kPhases; phase++) {
        self.asks();
        pool.run(threads, [&](int thread) {
          if (thread == 0) {
            self.has();
            callers[1 - own]->await_sleep();
            turns.push_back(own);
          }
        });
      }
    };
    {
      CallerThread first([&](CallerThread& self) { work(self, 0); });
      CallerThread second([&](CallerThread& self) { work(self, 1); });
      callers[0] = &first;
      callers[1] = &second;
      begins.store(true);
    }
    ASSERT_EQ(turns.size(), std::size_t{2 * kPhases});
    for (std::size_t i = 1; i < turns.size(); i++) {
      EXPECT_NE(turns[i], turns[i - 1]) << "turns " << i - 1 << " and " << i << " with " << threads << " threads";
    }
  }
}

TEST(ThreadPoolTurns, phasesOfATurnHaveNoneOfAnotherCallerAmongThem) {
  ThreadPool pool;
  std::vector<int> phases;  // guarded by the turns
  std::optional<ThreadPool::Turn> turn(pool);
  const CallerThread other([&](CallerThread& self) {
    self.asks();
    pool.run(2, [&](int thread) {
      if (thread == 0) {
        phases.push_back(1);
      }
    });
  });
  for (int phase = 0; phase < 3; phase++) {
    other.await_sleep();
    turn->run(2, [&](int thread) {
      if (thread == 0) {
        phases.push_back(0);
      }
    });
  }
  turn.reset();
  pool.run(2, [&](int thread) {
    if (thread == 0) {
      phases.push_back(2);
    }
  });
  EXPECT_EQ(phases, (std::vector<int>{0, 0, 0, 1, 2}));
}

class ThreadPoolTurnsOfAStep : public testing::Test {
 protected:
  // On a thread of its own.
  void run_step(CallerThread& self) {
    self.asks();
    decoder_.session.run(step_.step());
  }

  const d4j_decoder_spec spec_ = small_decoder();
  const ModelAndSession decoder_{
      spec_, {D4J_BACKEND_KERNELS, D4J_BFLOAT16, D4J_BFLOAT16, -1, 2, 0}, random_decoder_weights(spec_, 1), 16};
  const OwnedStep step_{spec_, {{{0}, 0, {1, 2, 3}}}};
};

// The logits, which come last, are not there yet at the turn of a caller that waits behind the step's first.
TEST_F(ThreadPoolTurnsOfAStep, areSeveralWithThoseOfOtherCallersBetweenThem) {
  std::vector<float> logits;
  {
    std::vector<std::unique_ptr<CallerThread>> callers;
    const ThreadPool::Turn turn(ThreadPool::shared());
    callers.push_back(std::make_unique<CallerThread>([&](CallerThread& self) { run_step(self); }));
    callers.back()->await_sleep();
    callers.push_back(std::make_unique<CallerThread>([&](CallerThread& self) {
      self.asks();
      ThreadPool::shared().run(1, [&](int) { logits = step_.logits(); });
    }));
    callers.back()->await_sleep();
  }
  ASSERT_EQ(logits.size(), step_.logits().size());
  for (std::size_t i = 0; i < logits.size(); i++) {
    EXPECT_TRUE(std::isnan(logits[i]));
    EXPECT_TRUE(std::isfinite(step_.logits()[i]));
  }
}

// Of the embedding, every layer and the head.
TEST_F(ThreadPoolTurnsOfAStep, areNoMoreThanItsLayersAndTwo) {
  std::optional<ThreadPool::Turn> turn(ThreadPool::shared());
  int turns = 0;
  {
    const CallerThread caller([&](CallerThread& self) { run_step(self); });
    while (caller.await_sleep()) {
      turn.reset();
      turn.emplace(ThreadPool::shared());  // after the step's turn
      turns++;
    }
  }
  EXPECT_LE(turns, spec_.layers + 2);
}

// Of all pools of this process.
std::vector<std::string> names_of_pool_threads() {
  std::vector<std::string> names;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream file(task.path() / "comm");
    std::string name;
    if (std::getline(file, name) && name.rfind("dolly4j-", 0) == 0) {
      names.push_back(name);
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

void expect_pool_threads(const std::vector<std::string>& expected) {
  // Threads of pools that other tests have destroyed may be listed for a moment.
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (names_of_pool_threads() != expected && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_EQ(names_of_pool_threads(), expected);
}

TEST(ThreadPoolTurns, twoDecodersStepOnTheThreadsOfOneAndEachHasTheBitsItHasAlone) {
  const d4j_decoder_spec spec = small_decoder();
  const d4j_model_options options{D4J_BACKEND_KERNELS, D4J_BFLOAT16, D4J_BFLOAT16, -1, 3, 0};
  const ModelAndSession first(spec, options, random_decoder_weights(spec, 1), 16);
  const ModelAndSession second(spec, options, random_decoder_weights(spec, 2), 16);
  const auto answer = [&](const ModelAndSession& decoder) {
    std::vector<float> all;
    for (int cached = 0; cached < 60; cached += cached == 0 ? 40 : 1) {
      const std::vector<float> logits =
          logits_of(decoder.session, spec, {{{3, 1, 2, 0}, cached, random_tokens(spec, cached == 0 ? 40 : 1, cached)}});
      all.insert(all.end(), logits.begin(), logits.end());
    }
    return all;
  };
  // The caller's thread is the third.
  const std::vector<std::string> two_threads = {"dolly4j-1", "dolly4j-2"};
  const std::vector<float> first_alone = answer(first);
  const std::vector<float> second_alone = answer(second);
  EXPECT_NE(first_alone, second_alone);
  expect_pool_threads(two_threads);
  for (int round = 0; round < 5; round++) {
    std::vector<float> beside;
    std::thread other([&] { beside = answer(second); });
    expect_same_bits(answer(first), first_alone, "the first decoder");
    other.join();
    expect_same_bits(beside, second_alone, "the second decoder");
  }
  expect_pool_threads(two_threads);
}

}  // namespace
}  // namespace dolly4j::test
