#include "amx_emulation.h"

#if defined(__x86_64__) && defined(__linux__)

#include <cpuid.h>
#include <signal.h>
#include <ucontext.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "cpu/flush_denormals.h"
#include "emulated_tiles.h"

namespace dolly4j::test {
namespace {

// An instruction with a three-byte VEX prefix, of the opcode map 0F38, as the Intel manual's volume 2 lays it out.
struct Instruction {
  int prefix;  // 0 none, 1 66, 2 F3, 3 F2
  int opcode;
  bool of_memory;
  int reg;      // a tile
  int rm;       // a tile, unless of memory
  int operand;  // the third tile
  std::uint8_t* place;
  std::int64_t stride;
  int bytes;
};

struct sigaction handler_before;
thread_local TileArithmetic tiles;
thread_local bool tiles_in_use = false;
std::atomic<int> threads_with_tiles{0};

[[noreturn]] void give_up(const char* reason, const std::uint8_t* code) {
  std::fprintf(stderr, "AmxEmulation: %s:", reason);
  for (int i = 0; i < 8; ++i) {
    std::fprintf(stderr, " %02x", code[i]);
  }
  std::fprintf(stderr, "\n");
  std::abort();
}

std::int64_t register_of(const greg_t* registers, int number) {
  constexpr int kPlaces[] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                             REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
  return registers[kPlaces[number]];
}

Instruction decode(const std::uint8_t* code, const greg_t* registers) {
  if (code[0] != 0xc4 || (code[1] & 31) != 2) {
    give_up("an illegal instruction", code);
  }
  const int high_index = (code[1] & 0x40) != 0 ? 0 : 8;
  const int high_base = (code[1] & 0x20) != 0 ? 0 : 8;
  const int mod = code[4] >> 6;
  Instruction result{code[2] & 3, code[3], mod != 3, code[4] >> 3 & 7, code[4] & 7, ~code[2] >> 3 & 15, nullptr, 0, 5};
  if (!result.of_memory) {
    return result;
  }
  int base = result.rm + high_base;
  if (result.rm == 4) {
    const int sib = code[result.bytes++];
    const int index = (sib >> 3 & 7) + high_index;
    base = (sib & 7) + high_base;
    result.stride = index == 4 ? 0 : register_of(registers, index) << (sib >> 6);
  }
  if (mod == 0 && (base & 7) == 5) {
    give_up("an address without a base", code);
  }
  std::int64_t address = register_of(registers, base);
  if (mod == 1) {
    address += static_cast<std::int8_t>(code[result.bytes]);
    result.bytes += 1;
  } else if (mod == 2) {
    std::int32_t offset;
    std::memcpy(&offset, code + result.bytes, sizeof offset);
    address += offset;
    result.bytes += 4;
  }
  result.place = reinterpret_cast<std::uint8_t*>(address);
  return result;
}

// Palette 1, eight tiles of 16 rows x 64 bytes, and nothing in the rest of the 64 bytes.
bool is_all_tiles(const std::uint8_t* config) {
  for (int i = 0; i < 64; ++i) {
    const int row_bytes = i >= 16 && i < 32 && i % 2 == 0 ? TileArithmetic::kRowBytes : 0;
    const int rows = i >= 48 && i < 56 ? TileArithmetic::kRows : 0;
    if (config[i] != (i == 0 ? 1 : row_bytes + rows)) {
      return false;
    }
  }
  return true;
}

void carry_out(const Instruction& instruction, const std::uint8_t* code) {
  constexpr int kConfig = 0x49;
  constexpr int kMove = 0x4b;
  constexpr int kDot = 0x5c;
  constexpr int kDotBytes = 0x5e;
  const auto is = [&](int opcode, int prefix, bool of_memory) {
    return instruction.opcode == opcode && instruction.prefix == prefix && instruction.of_memory == of_memory;
  };
  if (is(kConfig, 0, true)) {  // LDTILECFG
    if (tiles_in_use) {
      give_up("a configuration of tiles that were not released", code);
    }
    if (!is_all_tiles(instruction.place)) {
      give_up("a configuration that is none of ours", code);
    }
    for (int tile = 0; tile < 8; ++tile) {
      tiles.zero(tile);
    }
    tiles_in_use = true;
    ++threads_with_tiles;
  } else if (is(kConfig, 0, false)) {  // TILERELEASE
    threads_with_tiles -= tiles_in_use ? 1 : 0;
    tiles_in_use = false;
  } else if (!tiles_in_use) {
    give_up("an instruction without configured tiles", code);
  } else if (is(kConfig, 3, false)) {
    tiles.zero(instruction.reg);
  } else if (is(kMove, 3, true)) {
    tiles.load(instruction.reg, instruction.place, instruction.stride);
  } else if (is(kMove, 2, true)) {
    tiles.store(instruction.reg, instruction.place, instruction.stride);
  } else if (is(kDot, 2, false)) {  // TDPBF16PS
    tiles.dot(instruction.reg, instruction.rm, instruction.operand);
  } else if (is(kDotBytes, 2, false)) {  // TDPBSUD
    tiles.dot_bytes(instruction.reg, instruction.rm, instruction.operand);
  } else {
    give_up("an instruction that is not emulated", code);
  }
}

void handle(int, siginfo_t*, void* context) {
  // A handler begins with the processor's own settings; AMX flushes denormals whatever they are.
  const FlushDenormals flush;
  greg_t* registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  const auto* code = reinterpret_cast<const std::uint8_t*>(registers[REG_RIP]);
  const Instruction instruction = decode(code, registers);
  carry_out(instruction, code);
  registers[REG_RIP] += instruction.bytes;
}

}  // namespace

AmxEmulation::AmxEmulation() {
  struct sigaction action{};
  action.sa_sigaction = handle;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGILL, &action, &handler_before);
}

AmxEmulation::~AmxEmulation() {
  sigaction(SIGILL, &handler_before, nullptr);
  if (threads_with_tiles != 0) {
    std::fprintf(stderr, "AmxEmulation: %d threads have not released their tiles\n", threads_with_tiles.load());
    std::abort();
  }
}

bool cpu_has_amx() {
  constexpr unsigned kStates = 3U << 17;  // tile configuration and data, in XCR0
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx);
  if ((edx >> 24 & 1U) == 0) {
    return false;
  }
  __asm__("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
  return (eax & kStates) == kStates;
}

}  // namespace dolly4j::test

#endif
