// Measures, again and again, what this machine can do at most: the denominators of bench/run.sh cpu.
//
//   limits_probe THREADS        then for every line on stdin a line of JSON on stdout
//
//   read     GB/s that the threads together read from memory, each in several sequential streams: as many as read
//            fastest when the program starts. The memory is larger than the caches, and a probe goes on where the last
//            one ended.
//   peaks    GFLOP/s (integer operations for int8) of the multiply-adds of each instruction set: see peak_kernels.h
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string>
#include <vector>

#include "cpu/aligned_memory.h"
#include "cpu/thread_pool.h"
#include "peak_kernels.h"

namespace dolly4j::bench {
namespace {

constexpr double kReadSeconds = 0.15;
constexpr double kPeakSeconds = 0.03;

using Line = std::uint64_t __attribute__((vector_size(64)));  // a line of the cache

/// The part of the memory that one thread reads: streams of equal length, all at the same place.
struct Streams {
  const Line* memory;
  std::size_t length;    // lines of a stream
  std::size_t position;  // lines read of each
};

constexpr std::size_t kStepLines = 2048;  // of a stream, between two looks at the clock

template <int kStreams>
[[gnu::always_inline]] inline std::uint64_t read_step(const Streams& streams) {
  const Line* line = streams.memory + streams.position;
  const std::size_t length = streams.length;
  Line sums[kStreams] = {};
  for (std::size_t i = 0; i < kStepLines; i++, line++) {
    for (int s = 0; s < kStreams; s++) {
      sums[s] |= line[s * length];
    }
  }
  std::uint64_t sum = 0;
  for (const Line& part : sums) {
    sum |= part[0] | part[7];
  }
  return sum;
}

[[gnu::target_clones("avx512f", "avx2", "default")]] std::uint64_t read_step(int count, const Streams& streams) {
  switch (count) {
    case 1:
      return read_step<1>(streams);
    case 2:
      return read_step<2>(streams);
    case 4:
      return read_step<4>(streams);
    default:
      return read_step<8>(streams);
  }
}

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// Runs step on every thread again and again for about that long; returns the sum over the threads of what the steps
/// returned, a second.
template <typename Step>
double rate(int threads, double seconds, const Step& step) {
  std::vector<double> rates(threads);
  ThreadPool::shared().run(threads, [&](int thread) {
    double done = 0;
    const Clock::time_point start = Clock::now();
    double elapsed = 0;
    do {
      done += step(thread);
      elapsed = seconds_since(start);
    } while (elapsed < seconds);
    rates[thread] = done / elapsed;
  });
  double sum = 0;
  for (const double part : rates) {
    sum += part;
  }
  return sum;
}

class Reader {
 public:
  explicit Reader(int threads) : threads_(threads), memory_(kBytes, "memory to read"), positions_(threads) {
    std::memset(memory_.data(), 1, kBytes);  // pages that were never written are all the same one
    double best = 0;
    for (const int count : {1, 2, 4, 8}) {
      const double speed = read(count, 2 * kReadSeconds);
      if (speed > best) {
        best = speed;
        streams_ = count;
      }
    }
  }

  int streams() const { return streams_; }
  double read() { return read(streams_, kReadSeconds); }

 private:
  static constexpr std::size_t kBytes = std::size_t{1} << 30;

  double read(int count, double seconds) {
    const std::size_t part = kBytes / sizeof(Line) / threads_;
    const std::size_t length = part / count / kStepLines * kStepLines;
    const double speed = rate(threads_, seconds, [&](int thread) {
      std::size_t& position = positions_[thread];
      position = position + kStepLines > length ? 0 : position;
      seen_ = read_step(count, {static_cast<const Line*>(memory_.data()) + thread * part, length, position});
      position += kStepLines;
      return static_cast<double>(kStepLines * count * sizeof(Line));
    });
    return speed;
  }

  int threads_;
  int streams_ = 1;
  AlignedMemory memory_;
  std::vector<std::size_t> positions_;
  std::atomic<std::uint64_t> seen_{0};  // what was read is used, or the compiler would leave the reading out
};

class Peaks {
 public:
  explicit Peaks(int threads) : threads_(threads), memory_(threads * kBytes, "operands"), kernels_(peak_kernels()) {}

  const std::vector<PeakKernel>& kernels() const { return kernels_; }

  double measure(MultiplyAdds kernel) {
    return rate(threads_, kPeakSeconds, [&](int thread) {
      auto* start = static_cast<std::uint8_t*>(memory_.data()) + thread * kBytes;
      return static_cast<double>(kernel({start, start + kWeightBytes, start + kWeightBytes + kInputBytes}));
    });
  }

 private:
  static constexpr std::size_t kBytes = kWeightBytes + kInputBytes + kResultBytes;

  int threads_;
  AlignedMemory memory_;
  std::vector<PeakKernel> kernels_;
};

void serve(int threads) {
  Reader reader(threads);
  Peaks peaks(threads);
  std::string line;
  while (std::getline(std::cin, line)) {
    std::printf("{\"threads\": %d, \"streams\": %d, \"read\": %.3f, \"peaks\": {", threads, reader.streams(),
                reader.read() / 1e9);
    const char* separator = "";
    for (const PeakKernel& kernel : peaks.kernels()) {
      std::printf("%s\"%s\": {\"registers\": %.2f, \"l2\": %.2f}", separator, kernel.name,
                  peaks.measure(kernel.registers) / 1e9, peaks.measure(kernel.l2) / 1e9);
      separator = ", ";
    }
    std::printf("}}\n");
    std::fflush(stdout);
  }
}

}  // namespace
}  // namespace dolly4j::bench

int main(int count, char** arguments) {
  const int threads = count == 2 ? std::atoi(arguments[1]) : 0;
  if (threads < 1) {
    std::fprintf(stderr, "usage: limits_probe THREADS\n");
    return 2;
  }
  dolly4j::bench::serve(threads);
}
