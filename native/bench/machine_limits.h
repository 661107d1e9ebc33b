// What the machine can do at best, to be measured beside a kernel: noise on a shared machine hits both.
#pragma once

#include <algorithm>
#include <cstdint>
#include <ctime>
#include <vector>

#include "cpu/isa.h"
#include "cpu/thread_pool.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace dolly4j::bench {

// Runs task(thread) on so many threads of the pool. Returns the longest CPU time of one: what other programs take of the
// machine meanwhile does not count.
template <class Task>
double seconds(int threads, const Task& task) {
  std::vector<double> times(threads);
  const auto now = [] {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
  };
  ThreadPool::shared().run(threads, [&](int thread) {
    const double start = now();
    task(thread);
    times[thread] = now() - start;
  });
  return *std::max_element(times.begin(), times.end());
}

inline double median(std::vector<double> numbers) {
  std::sort(numbers.begin(), numbers.end());
  return numbers[numbers.size() / 2];
}

// Bytes per second at which the threads together read that memory, each a part of its own in four streams.
inline double read_speed(int threads, const void* memory, std::int64_t bytes) {
  constexpr int kStreams = 4;
  const auto* words = static_cast<const std::uint64_t*>(memory);
  const std::int64_t stream = bytes / 8 / threads / kStreams / 8 * 8;
  std::vector<std::uint64_t> sums(threads * 8);  // a line each
  const double time = seconds(threads, [&](int thread) {
    const std::uint64_t* start = words + thread * kStreams * stream;
    std::uint64_t sum[8] = {};
    for (std::int64_t i = 0; i < stream; i += 8) {
      for (int s = 0; s < kStreams; s++) {
        for (int j = 0; j < 8; j++) {
          sum[j] |= start[s * stream + i + j];
        }
      }
    }
    for (const std::uint64_t part : sum) {
      sums[thread * 8] |= part;
    }
  });
  // The sums are used, or the compiler would leave the loop out.
  const std::int64_t read = stream * 8 * kStreams * threads;
  return static_cast<double>(sums[0] == 0x123456789abcdef ? read + 1 : read) / time;
}

#if defined(__x86_64__)
// Twelve sums, so that two units are busy over the latency of a multiply-add.
#define DOLLY4J_MULTIPLY_ADDS(name, isa, vector, set1, fmadd)  \
  [[gnu::target(isa)]] inline float name(std::int64_t steps) { \
    vector sums[12];                                           \
    const vector factor = set1(0.5F);                          \
    for (vector & sum : sums) {                                \
      sum = factor;                                            \
    }                                                          \
    for (std::int64_t i = 0; i < steps; i++) {                 \
      for (vector & sum : sums) {                              \
        sum = fmadd(sum, factor, factor);                      \
      }                                                        \
    }                                                          \
    float result = 0;                                          \
    for (vector & sum : sums) {                                \
      result += sum[0];                                        \
    }                                                          \
    return result;                                             \
  }
DOLLY4J_MULTIPLY_ADDS(multiply_adds_avx2, "avx2,fma", __m256, _mm256_set1_ps, _mm256_fmadd_ps)
DOLLY4J_MULTIPLY_ADDS(multiply_adds_avx512, "avx512f", __m512, _mm512_set1_ps, _mm512_fmadd_ps)
#undef DOLLY4J_MULTIPLY_ADDS
#endif

// Multiplications and additions of float32 per second, from registers; 0 for instruction sets without a measure.
inline double peak_flops(int threads, Isa isa) {
  constexpr std::int64_t kSteps = 2'000'000;
  if (isa == Isa::generic) {
    return 0;
  }
#if defined(__x86_64__)
  const int lanes = isa == Isa::avx2 ? 8 : 16;
  std::vector<float> results(threads);
  const double time = seconds(threads, [&](int thread) {
    results[thread] = isa == Isa::avx2 ? multiply_adds_avx2(kSteps) : multiply_adds_avx512(kSteps);
  });
  return results[0] == 0 ? 0 : 2.0 * 12 * lanes * kSteps * threads / time;
#else
  return 0;
#endif
}

}  // namespace dolly4j::bench
