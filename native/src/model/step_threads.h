// How the phases of a step are shared out to the threads of the pool, and when other models have their turn.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "cpu/aligned_memory.h"
#include "cpu/thread_pool.h"

namespace dolly4j {

class StepThreads {
 public:
  /// So many threads, each with its own scratch memory of at least so many bytes.
  StepThreads(int threads, std::int64_t scratch_bytes)
      : threads_(threads),
        scratch_bytes_((scratch_bytes + kPage - 1) / kPage * kPage),
        scratch_(static_cast<std::size_t>(scratch_bytes_ * threads), "scratch") {}

  /// Calls work(), within which the others may be called, with a turn of the thread pool.
  ///
  /// Models that step at the same time take turns by layers. A turn that goes to another begins 10 us later, when that
  /// one's thread is awake (Zen 1): next to nothing beside a layer, but as long as some phases take. Longer turns would
  /// gain nothing more, since a layer reads weights that are not in the caches anyway: of two models a step takes the
  /// same CPU time, within 2 %, by phases, layers or steps. And a small model, or an abort, would wait for whole steps
  /// of a large one.
  template <typename Work>
  void in_turn(const Work& work) {
    const ThreadPool::Turn turn(ThreadPool::shared());
    turn_ = &turn;
    work();
  }

  /// Calls task(first, last, scratch) for a part of `count` things on every thread; here alone if there is but one.
  template <typename Task>
  void for_shares(int count, const Task& task) {
    const int threads = std::min(threads_, count);
    turn_->run(threads, [&](int thread) {
      const auto place = [&](int share) { return static_cast<int>(std::int64_t{count} * share / threads); };
      task(place(thread), place(thread + 1), scratch_of(thread));
    });
  }

  /// The same for `count` blocks of outputs of so many rows. Many rows compute, so threads take what is left, less and
  /// less at a time: one that is held up does not hold up all. Few read memory, each thread a part that lies in one
  /// piece.
  template <typename Task>
  void for_blocks(int count, int rows, const Task& task) {
    // Where reading stops to be the limit on a Zen 5; blocks that a kernel multiplies together. Not tuned further.
    constexpr int kMostRowsThatRead = 32;
    constexpr int kLeastBlocks = 2;
    const int threads = std::min(threads_, count);
    if (rows <= kMostRowsThatRead || threads == 1) {
      for_shares(count, task);
      return;
    }
    std::atomic<int> next{0};
    turn_->run(threads, [&](int thread) {
      int first = next.load();
      while (first < count) {
        const int blocks = (count - first) / (2 * threads) / kLeastBlocks * kLeastBlocks;
        const int last = std::min(first + std::max(blocks, kLeastBlocks), count);
        if (next.compare_exchange_weak(first, last)) {
          task(first, last, scratch_of(thread));
          first = next.load();
        }
      }
    });
  }

  /// Calls task(i, scratch) for i = 0 .. count - 1, every thread for the next one when it is done.
  template <typename Task>
  void for_each(std::size_t count, const Task& task) {
    std::atomic<std::size_t> next{0};
    const auto threads = static_cast<int>(std::min(static_cast<std::size_t>(threads_), count));
    turn_->run(threads, [&](int thread) {
      for (std::size_t i = next.fetch_add(1); i < count; i = next.fetch_add(1)) {
        task(i, scratch_of(thread));
      }
    });
  }

 private:
  static constexpr std::int64_t kPage = 4096;

  void* scratch_of(int thread) const { return static_cast<std::uint8_t*>(scratch_.data()) + scratch_bytes_ * thread; }

  int threads_;
  std::int64_t scratch_bytes_;              // of a thread
  AlignedMemory scratch_;                   // of all
  const ThreadPool::Turn* turn_ = nullptr;  // within in_turn
};

}  // namespace dolly4j
