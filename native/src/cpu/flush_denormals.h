// The floating-point environment of the kernels: denormal numbers count as zero; rounding to nearest and no traps,
// whatever the caller has set.
//
// AMX and AVX-512 BF16 always compute so; the other instruction sets are told to, so that all give the same bits. Java
// relies on denormals: the environment is put back at the end of the scope.
#pragma once

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace dolly4j {

class FlushDenormals {
 public:
#if defined(__x86_64__)
  FlushDenormals() : before_(_mm_getcsr()) { _mm_setcsr(kTrapsMasked | kFlushToZero | kDenormalsAreZero); }
  ~FlushDenormals() { _mm_setcsr(before_); }

 private:
  static constexpr unsigned kTrapsMasked = 0x1f80;
  static constexpr unsigned kFlushToZero = 0x8000;
  static constexpr unsigned kDenormalsAreZero = 0x0040;
  unsigned before_;
#elif defined(__aarch64__)
  FlushDenormals() {
    __asm__ volatile("mrs %0, fpcr" : "=r"(before_));
    __asm__ volatile("msr fpcr, %0" : : "r"(kFlushToZero));
  }
  ~FlushDenormals() { __asm__ volatile("msr fpcr, %0" : : "r"(before_)); }

 private:
  static constexpr unsigned long kFlushToZero = 1UL << 24;
  unsigned long before_;
#else
  FlushDenormals() {}
  ~FlushDenormals() {}

 private:
#endif
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;
};

}  // namespace dolly4j
