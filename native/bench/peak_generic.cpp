#include "peak_of_vectors.h"

namespace dolly4j::bench {
namespace {

// Four numbers in the compiler's baseline, which multiplies and adds in two instructions.
struct GenericFloat32 {
  using Sum = float __attribute__((vector_size(16)));
  using Operand = Sum;
  static constexpr int kBytes = 16;
  static constexpr int kOperations = 8;

  static Sum zero() { return Sum{}; }
  static Operand load(const std::uint8_t* from) { return *reinterpret_cast<const Operand*>(from); }
  static Operand broadcast(const std::uint8_t* from) { return *reinterpret_cast<const float*>(from) - Sum{}; }
  static Sum multiply_add(Sum sum, Operand input, Operand weight) { return sum + input * weight; }
  static void store(std::uint8_t* to, Sum sum) { *reinterpret_cast<Sum*>(to) = sum; }
  static void hide(Sum& value) {
#if defined(__x86_64__)
    __asm__ volatile("" : "+x"(value));
#elif defined(__aarch64__)
    __asm__ volatile("" : "+w"(value));
#else
    __asm__ volatile("" : "+m"(value));
#endif
  }
};

}  // namespace

PeakLoops peak_generic_float32() { return PeakOfVectors<GenericFloat32, 4, 2>::loops(); }

ReadLoops read_generic() { return ReadOfVectors<GenericFloat32>::loops(); }

}  // namespace dolly4j::bench
