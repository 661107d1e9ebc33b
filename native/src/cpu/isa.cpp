#include "cpu/isa.h"

#include <cstdlib>

#include "api/error.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace dolly4j {
namespace {

constexpr Isa kAll[] = {Isa::generic, Isa::avx2, Isa::avx512, Isa::avx512_bf16, Isa::amx};

#if defined(__x86_64__)

struct Leaf {
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
};

/// All zero where the CPU does not have the leaf.
Leaf cpuid(unsigned leaf, unsigned subleaf) {
  Leaf result;
  __get_cpuid_count(leaf, subleaf, &result.eax, &result.ebx, &result.ecx, &result.edx);
  return result;
}

bool has(unsigned flags, std::initializer_list<int> bits) {
  for (const int bit : bits) {
    if ((flags >> bit & 1U) == 0) {
      return false;
    }
  }
  return true;
}

/// Register states that the system saves for a process.
unsigned enabled_states() {
  unsigned low = 0;
  unsigned high = 0;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

/// Linux gives a process the tiles' 8 KiB of state only when asked.
bool request_tiles() {
  constexpr int kArchReqXcompPerm = 0x1023;
  constexpr int kTileData = 18;
  return syscall(SYS_arch_prctl, kArchReqXcompPerm, kTileData) == 0;
}

std::vector<Isa> detect() {
  std::vector<Isa> found = {Isa::generic};
  const Leaf basic = cpuid(1, 0);
  if (!has(basic.ecx, {27})) {  // OSXSAVE
    return found;
  }
  const unsigned states = enabled_states();
  const Leaf extended = cpuid(7, 0);
  const Leaf more = cpuid(7, 1);
  if (!has(states, {1, 2}) || !has(basic.ecx, {12, 28, 29}) || !has(extended.ebx, {5})) {  // FMA, AVX, F16C; AVX2
    return found;
  }
  found.push_back(Isa::avx2);
  if (!has(states, {5, 6, 7}) || !has(extended.ebx, {16, 17, 30, 31}) ||
      !has(extended.ecx, {11})) {  // F DQ BW VL; VNNI
    return found;
  }
  found.push_back(Isa::avx512);
  if (!has(more.eax, {5})) {  // AVX512_BF16
    return found;
  }
  found.push_back(Isa::avx512_bf16);
  if (has(states, {17, 18}) && has(extended.edx, {22, 24, 25}) && request_tiles()) {  // AMX BF16, TILE, INT8
    found.push_back(Isa::amx);
  }
  return found;
}

#else

std::vector<Isa> detect() { return {Isa::generic}; }

#endif

}  // namespace

const char* name_of(Isa isa) {
  switch (isa) {
    case Isa::generic:
      return "generic";
    case Isa::avx2:
      return "avx2";
    case Isa::avx512:
      return "avx512";
    case Isa::avx512_bf16:
      return "avx512_bf16";
    case Isa::amx:
      return "amx";
  }
  return "";
}

const std::vector<Isa>& available_isas() {
  static const std::vector<Isa> isas = detect();
  return isas;
}

Isa chosen_isa() {
  const char* wanted = std::getenv("DOLLY4J_ISA");
  if (wanted == nullptr || *wanted == '\0') {
    return available_isas().back();
  }
  std::string names;
  for (const Isa isa : available_isas()) {
    if (std::string(wanted) == name_of(isa)) {
      return isa;
    }
    names += (names.empty() ? "" : ", ") + std::string(name_of(isa));
  }
  bool known = false;
  for (const Isa isa : kAll) {
    known = known || std::string(wanted) == name_of(isa);
  }
  throw Error(D4J_INVALID_ARGUMENT,
              std::string("the environment variable DOLLY4J_ISA names ") +
                  (known ? "an instruction set this CPU does not have, '" : "an unknown instruction set, '") + wanted +
                  "'; unset it, or name one of " + names);
}

}  // namespace dolly4j
