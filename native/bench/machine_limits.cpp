#include "machine_limits.h"

#include <algorithm>
#include <cstring>

namespace dolly4j::bench {
namespace {

// Larger than the last-level caches.
constexpr std::int64_t kMemoryBytes = std::int64_t{1} << 30;
constexpr double kReadSeconds = 0.05;
constexpr double kPeakSeconds = 0.02;
constexpr int kTries = 3;

struct Reader {
  int streams;
  ReadStreams read;
};

std::vector<Reader> readers() {
  std::vector<ReadLoops> loops = {read_generic()};
#if defined(__x86_64__)
  const Isa best = available_isas().back();
  if (best >= Isa::avx2) {
    loops.push_back(read_avx2());
  }
  if (best >= Isa::avx512) {
    loops.push_back(read_avx512());
  }
#endif
  std::vector<Reader> all;
  for (const ReadLoops& of_isa : loops) {
    all.insert(all.end(), {{1, of_isa.one}, {2, of_isa.two}, {4, of_isa.four}, {8, of_isa.eight}});
  }
  return all;
}

std::vector<Peak> available_peaks() {
  std::vector<Peak> all = {{Isa::generic, Number::float32, peak_generic_float32()}};
#if defined(__x86_64__)
  all.push_back({Isa::avx2, Number::float32, peak_avx2_float32()});
  all.push_back({Isa::avx2, Number::int8, peak_avx2_int8()});
  all.push_back({Isa::avx512, Number::float32, peak_avx512_float32()});
  all.push_back({Isa::avx512, Number::int8, peak_avx512_int8()});
  all.push_back({Isa::avx512_bf16, Number::bfloat16, peak_avx512_bf16_bfloat16()});
  all.push_back({Isa::amx, Number::bfloat16, peak_amx_bfloat16()});
  all.push_back({Isa::amx, Number::int8, peak_amx_int8()});
#endif
  const Isa best = available_isas().back();
  all.erase(std::remove_if(all.begin(), all.end(), [&](const Peak& peak) { return peak.isa > best; }), all.end());
  return all;
}

}  // namespace

const char* name_of(Number number) {
  switch (number) {
    case Number::float32:
      return "float32";
    case Number::bfloat16:
      return "bfloat16";
    case Number::int8:
      return "int8";
  }
  return "";
}

const std::vector<Peak>& peaks() {
  static const std::vector<Peak> available = available_peaks();
  return available;
}

const Peak& peak(Isa isa, Number number) {
  const auto last = std::find_if(peaks().rbegin(), peaks().rend(),
                                 [&](const Peak& peak) { return peak.isa <= isa && peak.number == number; });
  return last != peaks().rend() ? *last : peak(isa, Number::float32);
}

MachineLimits::MachineLimits(const Stopwatch& stopwatch)
    : stopwatch_(stopwatch),
      memory_(kMemoryBytes, "memory to read"),
      part_(kMemoryBytes / stopwatch.threads / kReadBytes * kReadBytes),
      positions_(static_cast<std::size_t>(stopwatch.threads)) {
  memory_.prefer_huge_pages();                       // as weights do
  std::memset(memory_.data(), 60, memory_.bytes());  // pages that were never written are all the same one
  double best = 0;
  for (int i = 0; i < kTries; ++i) {
    for (const Reader& reader : readers()) {
      const double speed = read(reader.streams, reader.read);
      if (speed > best) {
        best = speed;
        streams_ = reader.streams;
        read_ = reader.read;
      }
    }
  }
}

std::uint8_t* MachineLimits::part_of(int thread) const {
  return static_cast<std::uint8_t*>(memory_.data()) + thread * part_;
}

double MachineLimits::read(int streams, ReadStreams loop) {
  const std::int64_t stream_bytes = part_ / streams / kReadBytes * kReadBytes;
  return stopwatch_.rate(kReadSeconds, [&](int thread) {
    std::int64_t& position = positions_[static_cast<std::size_t>(thread)];
    position = position < stream_bytes ? position : 0;
    loop(part_of(thread) + position, stream_bytes);
    position += kReadBytes;
    return streams * kReadBytes;
  });
}

double MachineLimits::operations(MultiplyAdds loop) {
  return stopwatch_.rate(kPeakSeconds, [&](int thread) {
    std::uint8_t* start = part_of(thread);
    return loop({start, start + kPeakWeightBytes, start + kPeakWeightBytes + kPeakInputBytes});
  });
}

}  // namespace dolly4j::bench
