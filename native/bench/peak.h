#pragma once

#include <cstdint>

namespace dolly4j::bench {

double peak_generic(std::int64_t rounds);
double peak_avx2(std::int64_t rounds);
double peak_avx512(std::int64_t rounds);
double peak_avx512_bf16(std::int64_t rounds);
double peak_amx(std::int64_t rounds);
double peak_amx_from_cache(std::int64_t rounds);

namespace {

// kAccumulators independent chains: enough to hide the latency, few enough for the registers.
template <class V, int kAccumulators>
double peak_of_fma(std::int64_t rounds) {
  typename V::F a[kAccumulators];
  for (auto& sum : a) {
    sum = V::zero();
    __asm__("" : "+m"(sum));  // or the compiler sees that all chains are the same
  }
  const auto x = V::set(0.5F);
  for (std::int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 16
    for (auto& sum : a) {
      sum = V::fma(sum, x, x);
    }
  }
  float results[V::kLanes];
  for (auto& sum : a) {
    V::store(results, sum);
    __asm__ volatile("" : : "r"(results) : "memory");
  }
  return 2.0 * static_cast<double>(rounds) * kAccumulators * V::kLanes;
}

}  // namespace
}  // namespace dolly4j::bench
