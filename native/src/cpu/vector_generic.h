// Sixteen virtual lanes of float32 in plain C++: what the kernels compute with where nothing better is compiled, and
// the meaning of the same functions in vector_avx2.h and vector_avx512.h. A kernel is a template over one of the
// three, is compiled in a file of its own for each, and gives the same bits with all.
//
// Kernel files include no header of the C++ library: a function of it that is not inlined could be kept, by the linker,
// in the form that a file with AVX-512 options made of it.
#pragma once

#include <cstdint>
#include <cstring>

#include "cpu/bfloat16.h"
#include "cpu/float16.h"

namespace dolly4j {
namespace {

struct Generic {
  static constexpr int kLanes = 16;

  // 16 numbers.
  struct F {
    float lane[kLanes];
  };

  // 64 bytes of packed weights: 16 rows x 2 numbers of a row, bfloat16.
  struct Pairs {
    bfloat16 number[kLanes][2];
  };

  // 64 bytes of packed weights: 16 rows x 4 numbers of a row, without sign.
  struct Quads {
    std::uint8_t number[kLanes][4];
  };

  // Four numbers of 8 bits for all lanes.
  struct Quad {
    std::int8_t number[4];
  };

  // Per lane, a sum of up to kDotsAtOnce dot products of a lane of Quads, of 0 .. 15, and a Quad.
  struct Dots {
    std::int32_t lane[kLanes];
  };
  static constexpr int kDotsAtOnce = 8;
  static constexpr int kMostDots = 4;  // Dots or ByteDots that the registers hold beside what is multiplied
  // How many float32 sums they hold beside as many dot products.
  static constexpr int kSumsKept = 0;

  // The same with numbers of all 8 bits, and no limit: what is multiplied may be laid out in another way for that. Dots
  // are of this type where kDotsAtOnce is 16, a group's.
  using Bytes = Quads;
  using ByteNumber = std::int8_t;
  using ByteDots = Dots;

  template <typename Function>
  static F each(Function function) {
    F result;
    for (int i = 0; i < kLanes; ++i) {
      result.lane[i] = function(i);
    }
    return result;
  }

  static F zero() {
    return each([](int) { return 0.0F; });
  }
  static F set(float value) {
    return each([=](int) { return value; });
  }
  // All lanes the number at that place.
  static F broadcast(const float* place) { return set(*place); }
  static F load(const float* from) {
    return each([=](int i) { return from[i]; });
  }
  // The first `count` of 16; the others are 0 and not read.
  static F load_first(const float* from, int count) {
    return each([=](int i) { return i < count ? from[i] : 0.0F; });
  }
  static F load(const bfloat16* from) {
    return each([=](int i) { return dolly4j::to_float(from[i]); });
  }
  static F load_first(const bfloat16* from, int count) {
    return each([=](int i) { return i < count ? dolly4j::to_float(from[i]) : 0.0F; });
  }
  static void store(float* to, F x) {
    for (int i = 0; i < kLanes; ++i) {
      to[i] = x.lane[i];
    }
  }
  static void store_first(float* to, F x, int count) {
    for (int i = 0; i < count; ++i) {
      to[i] = x.lane[i];
    }
  }
  // Rounded to nearest even.
  static void store(bfloat16* to, F x) {
    for (int i = 0; i < kLanes; ++i) {
      to[i] = to_bfloat16(x.lane[i]);
    }
  }
  static void store_first(bfloat16* to, F x, int count) {
    for (int i = 0; i < count; ++i) {
      to[i] = to_bfloat16(x.lane[i]);
    }
  }

  // Of whole numbers from -128 to 127.
  static void store_int8(void* to, F x) {
    for (int i = 0; i < kLanes; ++i) {
      static_cast<std::int8_t*>(to)[i] = static_cast<std::int8_t>(x.lane[i]);
    }
  }
  // Whole numbers of 32 bits, which float32 holds exactly.
  static F load_int32(const std::int32_t* from) {
    return each([=](int i) { return static_cast<float>(from[i]); });
  }
  static F load(const float16* from) {
    return each([=](int i) { return dolly4j::to_float(from[i]); });
  }

  static Pairs load_pairs(const void* from) {
    Pairs pairs;
    std::memcpy(&pairs, from, sizeof pairs);
    return pairs;
  }
  // The first, or the second, number of every pair.
  static F even(Pairs x) {
    return each([&](int i) { return dolly4j::to_float(x.number[i][0]); });
  }
  static F odd(Pairs x) {
    return each([&](int i) { return dolly4j::to_float(x.number[i][1]); });
  }

  static Quads load_quads(const void* from) {
    Quads quads;
    std::memcpy(&quads, from, sizeof quads);
    return quads;
  }
  static void store_quads(void* to, Quads x) { std::memcpy(to, &x, sizeof x); }
  // The lower, or the upper, four bits of every byte.
  static Quads low(Quads x) {
    for (auto& lane : x.number) {
      for (std::uint8_t& number : lane) {
        number = number & 15U;
      }
    }
    return x;
  }
  static Quads high(Quads x) {
    for (auto& lane : x.number) {
      for (std::uint8_t& number : lane) {
        number = static_cast<std::uint8_t>(number >> 4U);
      }
    }
    return x;
  }
  static Quad broadcast_quad(const std::int8_t* from) { return {{from[0], from[1], from[2], from[3]}}; }
  static Dots no_dots() { return {}; }
  // a + the dot products of w and x. Not inlined: kernels unroll what is around it, of which a compiler would make more
  // than it can digest.
  [[gnu::noinline]] static Dots dot(Quads w, Quad x, Dots a) {
    for (int i = 0; i < kLanes; ++i) {
      for (int j = 0; j < 4; ++j) {
        a.lane[i] += w.number[i][j] * x.number[j];
      }
    }
    return a;
  }
  static F to_float(Dots a) { return load_int32(a.lane); }

  static Bytes load_bytes(const void* from) { return load_quads(from); }
  // `count` numbers, a multiple of 4, as broadcast_quad takes them.
  static void spread_bytes(const std::int8_t* from, ByteNumber* to, int count) {
    std::memcpy(to, from, static_cast<std::size_t>(count));
  }
  // All lanes that number.
  static ByteDots byte_dots(std::int32_t all) {
    ByteDots dots;
    for (std::int32_t& lane : dots.lane) {
      lane = all;
    }
    return dots;
  }

  static F add(F a, F b) {
    return each([&](int i) { return a.lane[i] + b.lane[i]; });
  }
  static F sub(F a, F b) {
    return each([&](int i) { return a.lane[i] - b.lane[i]; });
  }
  static F mul(F a, F b) {
    return each([&](int i) { return a.lane[i] * b.lane[i]; });
  }
  static F div(F a, F b) {
    return each([&](int i) { return a.lane[i] / b.lane[i]; });
  }
  // a * b + c, rounded once.
  static F fma(F a, F b, F c) {
    return each([&](int i) { return __builtin_fmaf(a.lane[i], b.lane[i], c.lane[i]); });
  }
  // -a * b + c, rounded once.
  static F fnma(F a, F b, F c) {
    return each([&](int i) { return __builtin_fmaf(-a.lane[i], b.lane[i], c.lane[i]); });
  }
  static F sqrt(F a) {
    return each([&](int i) { return __builtin_sqrtf(a.lane[i]); });
  }
  // The second where either is NaN, and where both are zeros. Where denormals are flushed, one that is chosen may stay.
  static F max(F a, F b) {
    return each([&](int i) { return a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i]; });
  }
  static F min(F a, F b) {
    return each([&](int i) { return a.lane[i] < b.lane[i] ? a.lane[i] : b.lane[i]; });
  }
  static F abs(F a) {
    return each([&](int i) { return __builtin_fabsf(a.lane[i]); });
  }
  // a where x < y, else b.
  static F where_less(F x, F y, F a, F b) {
    return each([&](int i) { return x.lane[i] < y.lane[i] ? a.lane[i] : b.lane[i]; });
  }
  // a in the first `count` lanes, b in the others.
  static F first(int count, F a, F b) {
    return each([&](int i) { return i < count ? a.lane[i] : b.lane[i]; });
  }
  // To the nearest whole number, ties to even, of the sign of a; |a| < 2^22.
  static F round(F a) {
    constexpr float kMagic = 0x1.8p23F;  // its last place is 1
    return each([&](int i) {
      volatile float shifted = a.lane[i] + kMagic;
      return __builtin_copysignf(shifted - kMagic, a.lane[i]);
    });
  }
  // To the nearest number of bfloat16, ties to even.
  static F round_to_bfloat16(F a) {
    return each([&](int i) { return dolly4j::to_float(to_bfloat16(a.lane[i])); });
  }
  // 2^n for whole numbers n, -126 .. 127.
  static F power_of_two(F n) {
    return each([&](int i) {
      const std::uint32_t bits = static_cast<std::uint32_t>(static_cast<std::int32_t>(n.lane[i]) + 127) << 23;
      float result;
      std::memcpy(&result, &bits, sizeof result);
      return result;
    });
  }

  // Sum over the lanes by a fixed tree: lane i and i + 8, then i + 4, i + 2, i + 1.
  static float sum(F a) {
    for (int step = kLanes / 2; step > 0; step /= 2) {
      for (int i = 0; i < step; ++i) {
        a.lane[i] = a.lane[i] + a.lane[i + step];
      }
    }
    return a.lane[0];
  }
  // Largest lane; none is NaN.
  static float largest(F a) {
    float result = a.lane[0];
    for (int i = 1; i < kLanes; ++i) {
      result = a.lane[i] > result ? a.lane[i] : result;
    }
    return result;
  }

  // Inlined always: else g++ may take a call for one without effect and leave it out.
  [[gnu::always_inline]] static void prefetch(const void* place) { __builtin_prefetch(place); }
};

}  // namespace
}  // namespace dolly4j
