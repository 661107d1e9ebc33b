// gelu.h on vectors, for the epilogues of kernels. V is one of the structs of cpu/vector_*.h.
//
// Both forms are max(x, 0) - h(|x|) with h(a) = a Phi(-a) >= 0: one side is computed, with no cancellation where the
// result is near 0. A NaN stays one, infinities give the limit.
#pragma once

#include "cpu/vector_math.h"

namespace dolly4j {
namespace {

template <class V>
struct VectorGelu {
  using F = typename V::F;

  // Within 1.5e-7 |x|, and within 4e-7 of the result down to -13.1, where that is no normal number any more.
  //
  // Phi(-a) = e^(-a^2 / 2) r(a), where r is half the scaled complementary error function of a / sqrt(2): smooth, and
  // within 1e-8 of itself the ratio of two polynomials without negative coefficients (minimax over 0 .. 13.4, the
  // numbers rounded to float32; beyond, e^.. is 0).
  static F erf_form(F x) {
    const F a = magnitude(x);
    F p = V::set(0x1.06176ap-8F);
    p = V::fma(p, a, V::set(0x1.46806ap-5F));
    p = V::fma(p, a, V::set(0x1.72944cp-3F));
    p = V::fma(p, a, V::set(0x1.bdad6cp-2F));
    p = V::fma(p, a, V::set(0.5F));
    F q = V::set(0x1.487a6cp-7F);
    q = V::fma(q, a, V::set(0x1.993d54p-4F));
    q = V::fma(q, a, V::set(0x1.da8beep-2F));
    q = V::fma(q, a, V::set(0x1.316b1p+0F));
    q = V::fma(q, a, V::set(0x1.ab18e4p+0F));
    q = V::fma(q, a, V::set(1.0F));
    // What rounding a^2 took away would be multiplied by the exponential: e^(-a^2 / 2) = e^(-s / 2) (1 + (s - a^2) /
    // 2).
    const F half = V::set(0.5F);
    const F s = V::mul(a, a);
    const F e = VectorMath<V>::exp(V::mul(s, V::set(-0.5F)));
    const F density = V::fma(V::mul(e, half), V::fnma(a, a, s), e);
    return V::sub(V::max(V::zero(), x), V::mul(V::div(V::mul(a, p), q), density));
  }

  // Within 1.1e-7 |x|; within 6e-6 of the result down to -8, where that is 1e-20.
  //
  // (1 - tanh(u)) / 2 = e^(-2u) / (1 + e^(-2u)).
  static F tanh_form(F x) {
    constexpr float kLinear = 1.59576912F;   // 2 sqrt(2 / pi)
    constexpr float kCubic = 0.0713548163F;  // that times 0.044715
    const F a = magnitude(x);
    const F e = VectorMath<V>::exp(V::mul(a, V::fma(V::mul(a, a), V::set(-kCubic), V::set(-kLinear))));
    return V::sub(V::max(V::zero(), x), V::div(V::mul(a, e), V::add(V::set(1.0F), e)));
  }

 private:
  // |x|, but for numbers whose square could overflow one where h is 0.
  static F magnitude(F x) { return V::min(V::abs(x), V::set(14.0F)); }
};

}  // namespace
}  // namespace dolly4j
