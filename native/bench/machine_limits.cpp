#include "machine_limits.h"

#include <atomic>
#include <cstring>

#include "peak.h"

namespace dolly4j::bench {
namespace {

// Larger than any last-level cache that two threads get.
constexpr std::int64_t kReadBytes = std::int64_t{1} << 29;
constexpr int kStreams = 4;
constexpr double kProbeSeconds = 0.02;

std::atomic<std::uint64_t> sink;

// A line of each stream in turn, with what is a page ahead fetched.
void read(const std::uint8_t* from, std::int64_t bytes) {
  constexpr std::int64_t kLine = 64;
  constexpr std::int64_t kAhead = 4096;
  using Line = std::uint64_t __attribute__((vector_size(16), may_alias));
  const std::int64_t part = bytes / kStreams / kLine * kLine;
  Line sums[kStreams] = {};
  for (std::int64_t at = 0; at < part; at += kLine) {
#pragma GCC unroll 8
    for (int stream = 0; stream < kStreams; ++stream) {
      const auto* line = reinterpret_cast<const Line*>(from + stream * part + at);
      __builtin_prefetch(from + stream * part + at + kAhead);
      sums[stream] += line[0] + line[1] + line[2] + line[3];
    }
  }
  std::uint64_t sum = 0;
  for (const Line& stream : sums) {
    sum += stream[0] + stream[1];
  }
  sink.fetch_add(sum);
}

}  // namespace

ReadLimit::ReadLimit() : memory_(static_cast<std::size_t>(kReadBytes), "reading") {
  std::memset(memory_.data(), 1, memory_.bytes());
}

double ReadLimit::bytes_per_second(const Stopwatch& stopwatch) const {
  const std::int64_t part = kReadBytes / stopwatch.threads / 4096 * 4096;
  const double took =
      stopwatch.time([&](int thread) { read(static_cast<const std::uint8_t*>(memory_.data()) + thread * part, part); });
  return static_cast<double>(part * stopwatch.threads) / took;
}

PeakFn peak(Isa isa) {
#if defined(__x86_64__)
  switch (isa) {
    case Isa::generic:
      break;
    case Isa::avx2:
      return peak_avx2;
    case Isa::avx512:
      return peak_avx512;
    case Isa::avx512_bf16:
      return peak_avx512_bf16;
    case Isa::amx:
      return peak_amx;
  }
#else
  static_cast<void>(isa);
#endif
  return peak_generic;
}

PeakFn tile_peak_from_cache() {
#if defined(__x86_64__)
  return peak_amx_from_cache;
#else
  return nullptr;
#endif
}

double operations_per_second(PeakFn peak, const Stopwatch& stopwatch) {
  for (std::int64_t rounds = 1024;; rounds *= 4) {
    std::atomic<double> operations{0};
    const double took = stopwatch.time([&](int) {
      const double done = peak(rounds);
      double before = operations.load();
      while (!operations.compare_exchange_weak(before, before + done)) {
      }
    });
    if (took >= kProbeSeconds) {
      return operations.load() / took;
    }
  }
}

}  // namespace dolly4j::bench
