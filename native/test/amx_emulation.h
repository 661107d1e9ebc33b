// Runs what is compiled for AMX on CPUs without it.
#pragma once

namespace dolly4j::test {

// While it lives, the AMX instructions that the kernels have are carried out by a handler of the signal that they
// raise. What else raises it ends the program, as do a configuration other than eight tiles of 16 rows x 64 bytes, the
// use of tiles that are not configured, and tiles that are not released before they are configured again or the
// emulation ends, on any thread. Linux on x86-64 only, where cpu_has_amx() is false; threads must not block SIGILL.
class AmxEmulation {
 public:
  AmxEmulation();
  ~AmxEmulation();
  AmxEmulation(const AmxEmulation&) = delete;
  AmxEmulation& operator=(const AmxEmulation&) = delete;
};

// Whether the CPU carries AMX instructions out itself, even if the system does not let this process use the tiles.
bool cpu_has_amx();

}  // namespace dolly4j::test
