// Functions of vectors without the C library, so that every instruction set gives the same bits. V is one of the
// structs of vector_*.h.
#pragma once

namespace dolly4j {
namespace {

template <class V>
struct VectorMath {
  using F = typename V::F;

  // e^x for x up to 88; 0 below -87.33, where the result would be no normal number. Within 1 unit of the last place. Of
  // NaN, NaN.
  //
  // e^x = 2^n e^r with n = round(x / ln 2), |r| <= ln(2) / 2; ln 2 in two parts, so that r is exact but for its last
  // places (Cody and Waite 1980). e^r by its Taylor polynomial of degree 7: the rest is below 2^-27.
  static F exp(F x) {
    constexpr float kLowest = -87.33F;
    constexpr float kLog2E = 0x1.715476p+0F;
    constexpr float kLn2High = 0x1.62e4p-1F;
    constexpr float kLn2Low = 0x1.7f7d1cp-20F;
    const F clamped = V::max(x, V::set(kLowest));
    const F n = V::round(V::mul(clamped, V::set(kLog2E)));
    F r = V::fnma(n, V::set(kLn2High), x);
    r = V::fnma(n, V::set(kLn2Low), r);
    F p = V::set(1.0F / 5040);
    p = V::fma(p, r, V::set(1.0F / 720));
    p = V::fma(p, r, V::set(1.0F / 120));
    p = V::fma(p, r, V::set(1.0F / 24));
    p = V::fma(p, r, V::set(1.0F / 6));
    p = V::fma(p, r, V::set(0.5F));
    p = V::fma(p, r, V::set(1.0F));
    p = V::fma(p, r, V::set(1.0F));
    return V::where_less(x, V::set(kLowest), V::zero(), V::mul(p, V::power_of_two(n)));
  }
};

}  // namespace
}  // namespace dolly4j
