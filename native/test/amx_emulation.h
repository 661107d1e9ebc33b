// Runs what is compiled for AMX on CPUs without it.
#pragma once

namespace dolly4j::test {

// While it lives, the AMX instructions that the kernels have are carried out by a handler of the signal that they raise.
// What else raises it, and a configuration other than eight tiles of 16 rows x 64 bytes, ends the program. Linux on
// x86-64 only; threads must not block SIGILL.
class AmxEmulation {
 public:
  AmxEmulation();
  ~AmxEmulation();
  AmxEmulation(const AmxEmulation&) = delete;
  AmxEmulation& operator=(const AmxEmulation&) = delete;
};

}  // namespace dolly4j::test
