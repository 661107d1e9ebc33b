// Instruction sets the CPU kernels are written for, and which of them this CPU and system can run.
#pragma once

#include <vector>

namespace dolly4j {

/// In ascending order: a CPU that has one has those before it, generic apart.
enum class Isa {
  generic,      // the compiler's baseline
  avx2,         // AVX2, FMA, F16C
  avx512,       // AVX-512 F, BW, DQ, VL, VNNI
  avx512_bf16,  // and AVX-512 BF16
  amx,          // and AMX tile, bf16, int8
};

/// "generic", "avx2", "avx512", "avx512_bf16", "amx".
const char* name_of(Isa isa);

/// Those that this CPU has and the system lets a process use (CPUID, XCR0, permission for AMX's tiles), ascending.
const std::vector<Isa>& available_isas();

/// The instruction set to use: the one that the environment variable DOLLY4J_ISA names, else the best available. Throws
/// D4J_INVALID_ARGUMENT if DOLLY4J_ISA names none that is available.
Isa chosen_isa();

}  // namespace dolly4j
