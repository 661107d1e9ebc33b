#include "cpu/fair_mutex.h"

#include <gtest/gtest.h>

#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "caller_thread.h"

namespace dolly4j::test {
namespace {

TEST(FairMutex, isHeldByOneThreadAtATime) {
  constexpr int kThreads = 4;
  constexpr int kTimes = 2000;
  FairMutex mutex;
  int count = 0;  // guarded by the mutex alone
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; i++) {
    threads.emplace_back([&] {
      for (int time = 0; time < kTimes; time++) {
        const std::lock_guard<FairMutex> lock(mutex);
        count++;
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(count, kThreads * kTimes);
}

TEST(FairMutex, goesToThoseWhoWaitInTheOrderInWhichTheyAsked) {
  constexpr int kThreads = 5;
  FairMutex mutex;
  std::vector<int> order;  // guarded by the mutex
  std::vector<int> expected;
  {
    std::vector<std::unique_ptr<CallerThread>> callers;
    const std::lock_guard<FairMutex> lock(mutex);
    for (int i = 0; i < kThreads; i++) {
      callers.push_back(std::make_unique<CallerThread>([&, i](CallerThread& caller) {
        caller.asks();
        const std::lock_guard<FairMutex> callers_lock(mutex);
        order.push_back(i);
      }));
      callers.back()->await_sleep();
      expected.push_back(i);
    }
    EXPECT_TRUE(order.empty());
  }
  EXPECT_EQ(order, expected);
}

TEST(FairMutex, whoAsksAgainAtOnceComesAfterWhoWaits) {
  constexpr int kTimes = 100;
  FairMutex mutex;
  for (int time = 0; time < kTimes; time++) {
    std::vector<int> order;  // guarded by the mutex
    std::unique_lock<FairMutex> lock(mutex);
    const CallerThread other([&](CallerThread& caller) {
      caller.asks();
      const std::lock_guard<FairMutex> callers_lock(mutex);
      order.push_back(1);
    });
    other.await_sleep();
    order.push_back(0);
    lock.unlock();
    lock.lock();
    order.push_back(0);
    lock.unlock();
    EXPECT_EQ(order, (std::vector<int>{0, 1, 0})) << "time " << time;
  }
}

}  // namespace
}  // namespace dolly4j::test
