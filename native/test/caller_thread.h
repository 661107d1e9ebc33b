// A thread that asks for what another has, and of which a test can see that it waits.
#pragma once

#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <fstream>
#include <string>
#include <thread>

namespace dolly4j::test {

class CallerThread {
 public:
  // Calls work(*this) on a thread of its own.
  template <class Work>
  explicit CallerThread(const Work& work)
      : thread_([this, work] {
          id_.store(static_cast<long>(syscall(SYS_gettid)));
          work(*this);
          state_.store(State::ended);
        }) {}
  CallerThread(const CallerThread&) = delete;
  CallerThread& operator=(const CallerThread&) = delete;
  ~CallerThread() { thread_.join(); }

  // To be said by the thread itself: what it does next is to ask, and that it has what it asked for.
  void asks() { state_.store(State::asks); }
  void has() { state_.store(State::busy); }

  // Returns true once the thread is asleep until it gets what it asks for, or false once it has ended.
  bool await_sleep() const {
    while (state_.load() != State::ended) {
      if (state_.load() == State::asks && is_asleep()) {
        return true;
      }
      std::this_thread::yield();
    }
    return false;
  }

 private:
  enum class State { busy, asks, ended };

  // By the letter that follows the name, which is in parentheses, in the system's line about a thread.
  bool is_asleep() const {
    std::ifstream file("/proc/self/task/" + std::to_string(id_.load()) + "/stat");
    std::string line;
    std::getline(file, line);
    const std::size_t name_end = line.rfind(')');
    return name_end != std::string::npos && line.compare(name_end, 3, ") S") == 0;
  }

  std::atomic<long> id_{0};
  std::atomic<State> state_{State::busy};
  std::thread thread_;  // the last, since it uses the others
};

}  // namespace dolly4j::test
