// What the machine can do at most, by loops that do nothing else.
#pragma once

#include <cstdint>
#include <vector>

#include "cpu/aligned_memory.h"
#include "cpu/isa.h"
#include "peak.h"
#include "stopwatch.h"

namespace dolly4j::bench {

enum class Number { float32, bfloat16, int8 };

// "float32", "bfloat16", "int8".
const char* name_of(Number number);

// The multiply-adds of an instruction set on numbers of a type. int8 counts integer operations.
struct Peak {
  Isa isa;
  Number number;
  PeakLoops loops;
};

// Those that this CPU can run, in the order of the instruction sets.
const std::vector<Peak>& peaks();

// Of the best instructions for the number up to that instruction set; float32's where there are none.
const Peak& peak(Isa isa, Number number);

class MachineLimits {
 public:
  // Takes 1 GiB, and tries out how memory is read fastest.
  explicit MachineLimits(const Stopwatch& stopwatch);

  // Bytes a second that the threads together read from memory.
  double read() { return read(streams_, read_); }

  // Each in so many sequential streams at once.
  int streams() const { return streams_; }

  // Operations a second of the threads together.
  double operations(MultiplyAdds loop);

 private:
  double read(int streams, ReadStreams loop);
  std::uint8_t* part_of(int thread) const;

  Stopwatch stopwatch_;
  AlignedMemory memory_;  // a part for each thread
  std::int64_t part_;     // bytes
  int streams_ = 0;
  ReadStreams read_ = nullptr;
  std::vector<std::int64_t> positions_;  // of each thread: where it goes on reading
};

}  // namespace dolly4j::bench
