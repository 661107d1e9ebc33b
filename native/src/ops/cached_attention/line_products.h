// Products of the cache's numbers with factors, which are q or probabilities, and the sums that rows make of them in
// registers. V is one of the structs of cpu/vector_*.h. For block_products.h.
#pragma once

#include <cstdint>

#include "cpu/bfloat16.h"
#include "ops/packed_kv_cache.h"

namespace dolly4j {
namespace {

// How a line (packed_kv_cache.h) is multiplied by factors, which a Factor has of two numbers at a time, or of one.
//
//   store(to, i, x)            16 numbers, from i on, become factors of the row `to`
//   place(line)                where in the row the factors of a line begin
//   add(sum, line, f, step)    sum + first * its factor + second * its factor; factors are `step` Factors apart
//   add_first(sum, line, f)    sum + first * its factor
//
// The first of a pair is the upper half of its word, V::odd, the second the lower one, V::even: both are even numbers
// of the chain, or both are odd ones.
template <class V>
struct FmaProducts {
  using F = typename V::F;
  using Pairs = typename V::Pairs;
  using Factor = float;

  static void store(float* to, int i, F x) { V::store(to + i, x); }
  [[gnu::always_inline]] static int place(int line) { return line / 2 * 4 + line % 2; }
  [[gnu::always_inline]] static F add(F sum, Pairs line, const float* factors, int step) {
    return V::fma(V::broadcast(factors + 2 * step), V::even(line), add_first(sum, line, factors));
  }
  [[gnu::always_inline]] static F add_first(F sum, Pairs line, const float* factors) {
    return V::fma(V::broadcast(factors), V::odd(line), sum);
  }
};

// Sums of so many rows: loops over them are unrolled. `stride` factors from one row's to the next.
template <class V, class Products, int kRows>
struct RowSums {
  using F = typename V::F;
  using Pairs = typename V::Pairs;
  using Factor = typename Products::Factor;

  F of[kRows];

  [[gnu::always_inline]] RowSums() {
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      of[r] = V::zero();
    }
  }
  [[gnu::always_inline]] void add(F numbers, const Factor* factors, int stride) {
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      of[r] = V::fma(V::broadcast(factors + r * stride), numbers, of[r]);
    }
  }
  [[gnu::always_inline]] void add(Pairs line, const Factor* factors, int step, int stride) {
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      of[r] = Products::add(of[r], line, factors + r * stride, step);
    }
  }
  [[gnu::always_inline]] void add_first(Pairs line, const Factor* factors, int stride) {
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      of[r] = Products::add_first(of[r], line, factors + r * stride);
    }
  }
};

// A chain of the tiles order, or a part of it: the sums of the even numbers and of the odd ones, which are taken
// together (kEvenAndOdd), or where twice as many sums do not stay in registers, the even ones of a part first.
template <class V, class Products, bool kEvenAndOdd, int kRows>
struct ChainSums {
  using Sums = RowSums<V, Products, kRows>;
  using Factor = typename Products::Factor;

  static constexpr int kLine = PackedKvCache::kLine;

  Sums even;
  Sums odd;

  // The first `count` numbers of these lines.
  [[gnu::always_inline]] void add(const bfloat16* lines, int count, const Factor* factors, int step, int stride) {
    if constexpr (kEvenAndOdd) {
      for (int line = 0; line < count / 4 * 2; line += 2) {
        add_line(even, lines, line, factors, step, stride);
        add_line(odd, lines, line + 1, factors, step, stride);
      }
    } else {
      for (int line = 0; line < count / 4 * 2; line += 2) {
        add_line(even, lines, line, factors, step, stride);
      }
      for (int line = 1; line < count / 4 * 2; line += 2) {
        add_line(odd, lines, line, factors, step, stride);
      }
    }
    if (count % 4 != 0) {
      add_rest(lines, count, factors, step, stride);
    }
  }

  // The last one to three of `count`, which do not fill two lines.
  [[gnu::always_inline]] void add_rest(const bfloat16* lines, int count, const Factor* factors, int step, int stride) {
    const int line = count / 4 * 2;
    const int rest = count % 4;
    if (rest == 3) {
      add_line(even, lines, line, factors, step, stride);
    } else {
      even.add_first(V::load_pairs(lines + line * kLine), factors + Products::place(line) * step, stride);
    }
    if (rest > 1) {
      odd.add_first(V::load_pairs(lines + (line + 1) * kLine), factors + Products::place(line + 1) * step, stride);
    }
  }

 private:
  [[gnu::always_inline]] static void add_line(Sums& sums, const bfloat16* lines, int line, const Factor* factors,
                                              int step, int stride) {
    sums.add(V::load_pairs(lines + line * kLine), factors + Products::place(line) * step, step, stride);
  }
};

}  // namespace
}  // namespace dolly4j
