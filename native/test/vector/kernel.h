// VectorFunctions of V, one of the structs of cpu/vector_*.h.
#pragma once

#include "cpu/vector_math.h"
#include "ops/gelu/vector_gelu.h"
#include "vector/vector_functions.h"

namespace dolly4j::test {
namespace {

template <class V>
struct ArrayFunctions {
  using F = typename V::F;

  static void all(const VectorOperands& operands, VectorResults& results) {
    const auto put = [&](const char* function, Agreement agreement, F x) {
      VectorResult& result = results.result[results.count];
      ++results.count;
      result.function = function;
      result.agreement = agreement;
      V::store(result.lanes, x);
    };
    const auto moved = [&](const char* function, F x) { put(function, Agreement::bits, x); };
    const auto computed = [&](const char* function, F x) { put(function, Agreement::numbers, x); };

    const F a = V::load(operands.a);
    const F b = V::load(operands.b);
    const F c = V::load(operands.c);
    const auto pairs = V::load_pairs(operands.pairs);
    moved("zero", V::zero());
    moved("set", V::set(operands.a[0]));
    moved("broadcast", V::broadcast(operands.a));
    moved("load", a);
    moved("load bfloat16", V::load(operands.pairs[0]));
    moved("even", V::even(pairs));
    moved("odd", V::odd(pairs));
    moved("load int32", V::load_int32(operands.integers));
    computed("load float16", V::load(reinterpret_cast<const float16*>(operands.pairs)));
    auto dots = V::no_dots();
    const auto quads = V::load_quads(operands.quads);
    for (int i = 0; i < 8; i += 2) {  // which all vectors hold
      dots = V::dot(V::low(quads), V::broadcast_quad(operands.numbers + i), dots);
      dots = V::dot(V::high(quads), V::broadcast_quad(operands.numbers + i + 4), dots);
    }
    moved("dot", V::to_float(dots));
    typename V::ByteNumber spread[16];
    V::spread_bytes(operands.numbers, spread, 16);
    auto byte_dots = V::byte_dots(-64 * 127 * 128);  // the least that kernels start from
    for (int i = 0; i < 16; i += 4) {
      byte_dots = V::dot(V::load_bytes(operands.quads), V::broadcast_quad(spread + i), byte_dots);
    }
    moved("dot of bytes", V::to_float(byte_dots));
    moved("round_to_bfloat16", V::round_to_bfloat16(a));
    moved("abs", V::abs(a));
    moved("where_less", V::where_less(a, b, b, c));
    moved("first", V::first(operands.count, a, b));
    moved("power_of_two", V::power_of_two(V::load(operands.power)));
    computed("add", V::add(a, b));
    computed("sub", V::sub(a, b));
    computed("mul", V::mul(a, b));
    computed("div", V::div(a, b));
    computed("fma", V::fma(a, b, c));
    computed("fnma", V::fnma(a, b, c));
    computed("sqrt", V::sqrt(a));
    put("max", Agreement::chosen, V::max(a, b));
    put("min", Agreement::chosen, V::min(a, b));
    computed("round", V::round(V::load(operands.small)));
    computed("sum", V::set(V::sum(a)));
    V::store(results.stored, a);
    V::store_int8(results.stored_bytes, V::load(operands.byte));
    V::store_quads(results.stored_quads, V::high(quads));
    V::prefetch(operands.a);
  }

  static void load_first(const float* from, int count, float* to) { V::store(to, V::load_first(from, count)); }
  static void load_first_bfloat16(const bfloat16* from, int count, float* to) {
    V::store(to, V::load_first(from, count));
  }
  static void store_first(float* to, const float* from, int count) { V::store_first(to, V::load(from), count); }
  static void store_first_bfloat16(bfloat16* to, const float* from, int count) {
    V::store_first(to, V::load(from), count);
  }
  static void exp(const float* x, float* y) { V::store(y, VectorMath<V>::exp(V::load(x))); }
  static void gelu(GeluForm form, const float* x, float* y) {
    const F number = V::load(x);
    V::store(y, form == GeluForm::erf ? VectorGelu<V>::erf_form(number) : VectorGelu<V>::tanh_form(number));
  }
  static float largest(const float* x) { return V::largest(V::load(x)); }

  static constexpr VectorFunctions kTable = {
      all, load_first, load_first_bfloat16, store_first, store_first_bfloat16, exp, gelu, largest};
};

}  // namespace
}  // namespace dolly4j::test
