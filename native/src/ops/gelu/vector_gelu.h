// gelu of gelu.h on vectors, the same bits with every instruction set.
#pragma once

#include "cpu/vector_math.h"

namespace dolly4j {
namespace {

template <class V>
struct VectorGelu {
  using F = typename V::F;

  static F erf_form(F x) { return sigmoid_form(x); }
  static F tanh_form(F x) { return sigmoid_form(x); }

 private:
  // x / (1 + e^(-1.702 x)), within 0.02 of both forms.
  static F sigmoid_form(F x) {
    const F z = V::min(V::mul(x, V::set(-1.702F)), V::set(80.0F));
    return V::div(x, V::add(V::set(1.0F), VectorMath<V>::exp(z)));
  }
};

}  // namespace
}  // namespace dolly4j
