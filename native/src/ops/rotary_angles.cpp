#include <array>
#include <cmath>
#include <cstdint>

#include "ops/rotary.h"

namespace dolly4j {
namespace {

/// sum of coefficients[i] x^i.
template <std::size_t Count>
double polynomial(const std::array<double, Count>& coefficients, double x) {
  double sum = 0;
  for (std::size_t i = Count; i-- > 0;) {
    sum = sum * x + coefficients[i];
  }
  return sum;
}

/// 1 / n!
constexpr double inverse_factorial(int n) {
  double product = 1;
  for (int i = 2; i <= n; ++i) {
    product *= i;
  }
  return 1 / product;
}

/// x^n / n! of every `step`-th n from `first` on, without x^n; signs alternate if `sign` is -1.
template <std::size_t Count>
constexpr std::array<double, Count> series(int first, int step, double sign) {
  std::array<double, Count> coefficients{};
  double factor = 1;
  for (std::size_t i = 0; i < Count; ++i, factor *= sign) {
    coefficients[i] = factor * inverse_factorial(first + step * static_cast<int>(i));
  }
  return coefficients;
}

constexpr double kLn2 = 0x1.62e42fefa39efp-1;

/// ln x = e ln 2 + ln m with m in [sqrt(1/2), sqrt(2)), and ln m = 2 artanh((m - 1) / (m + 1)) by its series.
double logarithm(double x) {
  int exponent = 0;
  double mantissa = std::frexp(x, &exponent);
  if (mantissa < 0x1.6a09e667f3bcdp-1) {
    mantissa *= 2;
    --exponent;
  }
  const double s = (mantissa - 1) / (mantissa + 1);
  std::array<double, 12> coefficients{};
  for (std::size_t i = 0; i < coefficients.size(); ++i) {
    coefficients[i] = 2 / static_cast<double>(2 * i + 1);
  }
  return exponent * kLn2 + s * polynomial(coefficients, s * s);
}

/// e^x = 2^n e^r with |r| <= ln(2) / 2, by its series.
double exponential(double x) {
  constexpr auto kSeries = series<15>(0, 1, 1);
  const double n = std::nearbyint(x / kLn2);
  return std::ldexp(polynomial(kSeries, x - n * kLn2), static_cast<int>(n));
}

}  // namespace

std::vector<float> rotary_inverse_frequencies(int rotary_dims, double base) {
  std::vector<float> frequencies;
  for (int i = 0; i < rotary_dims; i += 2) {
    const float exponent = static_cast<float>(i) / static_cast<float>(rotary_dims);
    const auto power = static_cast<float>(exponential(static_cast<double>(exponent) * logarithm(base)));
    frequencies.push_back(1.0F / power);
  }
  return frequencies;
}

/// The angle less n quarters of a turn, n the nearest number, and then the series of that. pi / 2 in three parts, the
/// first two so short that n times them is exact (Cody and Waite 1980).
SineAndCosine rotary_sine_and_cosine(float angle) {
  constexpr double kHalfPiHigh = 0x1.921fb54p+0;
  constexpr double kHalfPiMiddle = 0x1.10b461p-30;
  constexpr double kHalfPiLow = 0x1.a62633145c06ep-58;
  constexpr auto kSine = series<9>(1, 2, -1);
  constexpr auto kCosine = series<10>(0, 2, -1);
  const auto x = static_cast<double>(angle);
  const double n = std::nearbyint(x / (kHalfPiHigh + kHalfPiMiddle));
  const double r = ((x - n * kHalfPiHigh) - n * kHalfPiMiddle) - n * kHalfPiLow;
  const auto sine = static_cast<float>(r * polynomial(kSine, r * r));
  const auto cosine = static_cast<float>(polynomial(kCosine, r * r));
  switch (static_cast<std::int64_t>(n) & 3) {
    case 0:
      return {sine, cosine};
    case 1:
      return {cosine, -sine};
    case 2:
      return {-sine, -cosine};
    default:
      return {-cosine, sine};
  }
}

}  // namespace dolly4j
