// Measures, again and again, what this machine can do at most: the denominators of bench/run.sh cpu.
//
//   limits_probe THREADS        then for every line on stdin a line of JSON on stdout
//
//   read     GB/s that the threads together read from memory
//   streams  in how many sequential streams each of them does
//   peaks    GFLOP/s (integer operations for int8) of the multiply-adds of each instruction set: see peak.h
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>

#include "api/error.h"
#include "machine_limits.h"

namespace dolly4j::bench {
namespace {

void serve(int threads) {
  MachineLimits limits({threads, Clock::wall});
  std::string line;
  while (std::getline(std::cin, line)) {
    std::printf("{\"threads\": %d, \"streams\": %d, \"read\": %.3f, \"peaks\": {", threads, limits.streams(),
                limits.read() / 1e9);
    const char* separator = "";
    for (const Peak& peak : peaks()) {
      std::printf("%s\"%s %s\": {\"registers\": %.2f, \"l2\": %.2f}", separator, name_of(peak.isa),
                  name_of(peak.number), limits.operations(peak.loops.registers) / 1e9,
                  limits.operations(peak.loops.l2) / 1e9);
      separator = ", ";
    }
    std::printf("}}\n");
    std::fflush(stdout);
  }
}

}  // namespace
}  // namespace dolly4j::bench

int main(int count, char** arguments) {
  const int threads = count == 2 ? std::atoi(arguments[1]) : 0;
  if (threads < 1) {
    std::fprintf(stderr, "usage: limits_probe THREADS\n");
    return 2;
  }
  try {
    dolly4j::bench::serve(threads);
  } catch (const dolly4j::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
