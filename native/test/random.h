// Random numbers for tests: the same on every platform for a seed.
#pragma once

#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

namespace dolly4j::test {

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  // SplitMix64 (Steele et al. 2014).
  std::uint64_t next() {
    state_ += 0x9e3779b97f4a7c15U;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
  }

  // 0 .. limit - 1.
  int below(int limit) { return static_cast<int>(next() % static_cast<std::uint64_t>(limit)); }

  // Above 0, up to 1.
  double uniform() { return static_cast<double>((next() >> 11) + 1) * 0x1p-53; }

  // Mean 0, variance 1 (Box and Muller 1958).
  float normal() {
    const double radius = std::sqrt(-2 * std::log(uniform()));
    return static_cast<float>(radius * std::cos(2 * std::acos(-1.0) * uniform()));
  }

  std::vector<float> normals(std::int64_t count, float deviation = 1, float mean = 0) {
    std::vector<float> numbers(count);
    for (float& number : numbers) {
      number = mean + deviation * normal();
    }
    return numbers;
  }

  // 0 .. count - 1 in random order.
  std::vector<int> permutation(int count) {
    std::vector<int> order(count);
    for (int i = 0; i < count; i++) {
      order[i] = i;
      std::swap(order[i], order[below(i + 1)]);
    }
    return order;
  }

 private:
  std::uint64_t state_;
};

}  // namespace dolly4j::test
