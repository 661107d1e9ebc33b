// Speed of packed_linear.h on the matrices of a decoder of the 3b shape, beside what the machine can do.
//
//   packed_linear_bench [--threads=2] [--repetitions=9] [--isa=avx2] [--kind=pairs|tiles|int8|int4|float32]
//                       [--shape=fc1] [--rows=1,8,256] [--clock=wall|thread]
//
// Every kernel's results are compared with the oracle's first. Then, in every repetition, everything is measured once,
// with the read speed and the peak of the instruction set just before and after: figures are min / median / max over
// the repetitions, ratios are medians of those to the limits measured beside them. Weights are several times as large
// as the caches.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "api/error.h"
#include "cpu/aligned_memory.h"
#include "cpu/isa.h"
#include "machine_limits.h"
#include "ops/packed_linear.h"
#include "stopwatch.h"

namespace dolly4j::bench {
namespace {

struct Shape {
  const char* name;
  int outputs;
  int inputs;
};
constexpr Shape kShapes[] = {
    {"qkv", 7680, 2560}, {"dense", 2560, 2560}, {"fc1", 10240, 2560}, {"fc2", 2560, 10240}, {"head", 50280, 2560}};

struct Kind {
  const char* name;
  WeightType type;
  SumOrder order;
};
constexpr Kind kKinds[] = {{"pairs", WeightType::bfloat16, SumOrder::pairs},
                           {"tiles", WeightType::bfloat16, SumOrder::tiles},
                           {"int8", WeightType::int8, SumOrder::pairs},
                           {"int4", WeightType::int4, SumOrder::pairs},
                           {"float32", WeightType::float32, SumOrder::pairs}};

// One after the other, so that none is in a cache when its turn comes again.
constexpr std::int64_t kWeightBytes = std::int64_t{1} << 29;
constexpr double kMeasureSeconds = 0.03;

struct Options {
  Stopwatch stopwatch{2, Clock::wall};
  int repetitions = 9;
  std::string isa;
  std::string kind;
  std::string shape;
  std::vector<int> rows = {1, 2, 4, 8, 16, 32, 64, 256};
};

Options parse(int count, char** arguments) {
  Options options;
  for (int i = 1; i < count; ++i) {
    const std::string argument = arguments[i];
    const std::size_t equals = argument.find('=');
    const std::string name = argument.substr(0, equals);
    const std::string value = equals == std::string::npos ? "" : argument.substr(equals + 1);
    if (name == "--threads") {
      options.stopwatch.threads = std::atoi(value.c_str());
    } else if (name == "--clock") {
      options.stopwatch.clock = value == "thread" ? Clock::thread : Clock::wall;
    } else if (name == "--repetitions") {
      options.repetitions = std::atoi(value.c_str());
    } else if (name == "--isa") {
      options.isa = value;
    } else if (name == "--kind") {
      options.kind = value;
    } else if (name == "--shape") {
      options.shape = value;
    } else if (name == "--rows") {
      options.rows.clear();
      for (std::size_t at = 0; at < value.size(); at = std::min(value.find(',', at), value.size() - 1) + 1) {
        options.rows.push_back(std::atoi(value.c_str() + at));
      }
    } else {
      std::fprintf(stderr, "unknown option %s; the head of packed_linear_bench.cpp lists them\n", argument.c_str());
      std::exit(2);
    }
  }
  return options;
}

// As weights have it.
AlignedMemory memory(std::int64_t bytes) {
  AlignedMemory made(static_cast<std::size_t>(bytes), "a benchmark");
  made.prefer_huge_pages();
  return made;
}

// Numbers between -1 and 1, as the kernels' time does not depend on them.
void fill(void* data, std::int64_t count, DType type) {
  std::uint64_t state = 1;
  for (std::int64_t i = 0; i < count; ++i) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    Output(data, type).set(i, static_cast<float>(state >> 40) * 0x1p-23F - 1);
  }
}

// A matrix of such numbers, packed.
void fill(const PackedWeight& weight, void* data) {
  const DType type = weight.type == WeightType::bfloat16 ? DType::bfloat16 : DType::float32;
  const AlignedMemory rows = memory(std::int64_t{weight.outputs} * weight.inputs * size_of(type));
  fill(rows.data(), std::int64_t{weight.outputs} * weight.inputs, type);
  pack_outputs(weight, data, 0, weight.outputs, rows.data());
}

// A matrix in several copies, with operands for so many rows.
class Workload {
 public:
  Workload(const Shape& shape, WeightType type, int most_rows) : shape_(shape), type_(type) {
    const PackedWeight weight{type, shape.outputs, shape.inputs, nullptr, nullptr};
    const std::int64_t bytes = weight.blocks() * weight.block_bytes();
    copies_ = static_cast<int>(kWeightBytes / bytes) + 1;
    weights_ = memory(bytes * copies_);
    fill(weight, weights_.data());
    for (int copy = 1; copy < copies_; ++copy) {
      std::memcpy(static_cast<std::uint8_t*>(weights_.data()) + bytes * copy, weights_.data(),
                  static_cast<std::size_t>(bytes));
    }
    const std::int64_t elements = activation_elements(most_rows, shape.inputs);
    x_ = memory(elements * size_of(input_type()));
    fill(x_.data(), elements, input_type());
    y_.resize(static_cast<std::size_t>(most_rows) * shape.outputs);
  }

  PackedLinearArgs args(SumOrder order, int rows) {
    PackedLinearArgs args{};
    args.weight = {type_, shape_.outputs, shape_.inputs, weights_.data(), nullptr};
    args.order = order;
    args.x = {x_.data(), input_type(), shape_.inputs};
    args.rows = rows;
    args.result = LinearResult::store;
    args.y = y_.data();
    args.y_stride = shape_.outputs;
    return args;
  }

  // The next copy of the weights.
  void next(PackedLinearArgs& args) {
    turn_ = (turn_ + 1) % copies_;
    args.weight.data =
        static_cast<const std::uint8_t*>(weights_.data()) + turn_ * args.weight.blocks() * args.weight.block_bytes();
  }

 private:
  DType input_type() const { return type_ == WeightType::float32 ? DType::float32 : DType::bfloat16; }

  Shape shape_;
  WeightType type_;
  int copies_;
  int turn_ = 0;
  AlignedMemory weights_;
  AlignedMemory x_;
  std::vector<float> y_;
};

class Runner {
 public:
  Runner(PackedLinear kernel, const Stopwatch& stopwatch, int most_rows, int inputs)
      : kernel_(kernel), stopwatch_(stopwatch) {
    prepared_ = memory(kernel.prepared_bytes(most_rows, inputs));
    std::memset(prepared_.data(), 0, prepared_.bytes());
    const std::int64_t bytes = kernel.scratch_bytes(most_rows);
    for (int thread = 0; thread < stopwatch.threads; ++thread) {
      scratch_.push_back(memory(bytes));
      std::memset(scratch_.back().data(), 0, scratch_.back().bytes());
    }
  }

  // Returns the seconds it took.
  double run(PackedLinearArgs args) const {
    args.prepared = prepared_.data();
    const int threads = stopwatch_.threads;
    const double preparing = stopwatch_.time(
        [&](int thread) { kernel_.prepare(args, args.rows * thread / threads, args.rows * (thread + 1) / threads); });
    return preparing + stopwatch_.time([&](int thread) {
      const int blocks = args.weight.blocks();
      kernel_.run(args, blocks * thread / threads, blocks * (thread + 1) / threads, scratch_[thread].data());
    });
  }

 private:
  PackedLinear kernel_;
  Stopwatch stopwatch_;
  AlignedMemory prepared_;
  std::vector<AlignedMemory> scratch_;
};

// Compares blocks from both ends and the middle with the oracle.
bool right(const PackedLinearArgs& args) {
  const int blocks = args.weight.blocks();
  for (const int block : {0, blocks / 2 - 1, blocks - 1}) {
    const int outputs = std::min(kBlockOutputs, args.weight.outputs - block * kBlockOutputs);
    std::vector<float> expected(static_cast<std::size_t>(args.rows) * kBlockOutputs);
    PackedLinearArgs sample = args;
    sample.weight.data = args.weight.block(block);
    sample.weight.outputs = outputs;
    sample.y = expected.data();
    sample.y_stride = kBlockOutputs;
    packed_linear_oracle(sample);
    for (int t = 0; t < args.rows; ++t) {
      if (std::memcmp(expected.data() + t * kBlockOutputs, args.y + t * args.y_stride + block * kBlockOutputs,
                      static_cast<std::size_t>(outputs) * sizeof(float)) != 0) {
        return false;
      }
    }
  }
  return true;
}

struct Series {
  std::vector<double> values;

  void add(double value) { values.push_back(value); }
  double at(double share) {
    std::sort(values.begin(), values.end());
    return values[static_cast<std::size_t>(share * static_cast<double>(values.size() - 1) + 0.5)];
  }
};

struct Figures {
  Series bytes;
  Series operations;
  Series of_read;
  Series of_peak;
};

void print(const char* shape, const char* kind, Isa isa, int rows, Figures& figures) {
  std::printf("%-6s %-8s %-12s %4d  %6.1f %6.1f %6.1f GB/s %5.2f of read  %7.1f %7.1f %7.1f GFLOP/s %5.2f of peak\n",
              shape, kind, name_of(isa), rows, figures.bytes.at(0) / 1e9, figures.bytes.at(0.5) / 1e9,
              figures.bytes.at(1) / 1e9, figures.of_read.at(0.5), figures.operations.at(0) / 1e9,
              figures.operations.at(0.5) / 1e9, figures.operations.at(1) / 1e9, figures.of_peak.at(0.5));
}

// The peak that a kernel is measured by. Tiles do not fit into registers: theirs is the one fed from a cache.
MultiplyAdds peak_for(Isa isa, const Kind& kind) {
  const bool in_bfloat16 =
      kind.type == WeightType::bfloat16 && isa == (kind.order == SumOrder::tiles ? Isa::amx : Isa::avx512_bf16);
  const Number number = in_groups(kind.type) ? Number::int8 : in_bfloat16 ? Number::bfloat16 : Number::float32;
  const PeakLoops& loops = peak(isa, number).loops;
  return isa == Isa::amx && number != Number::float32 ? loops.l2 : loops.registers;
}

bool measure(const Shape& shape, const Kind& kind, Isa isa, MachineLimits& limits, const Options& options) {
  const int most_rows = *std::max_element(options.rows.begin(), options.rows.end());
  Workload workload(shape, kind.type, most_rows);
  const Runner runner(packed_linear(isa, kind.type, kind.order), options.stopwatch, most_rows, shape.inputs);
  for (const int rows : options.rows) {
    const PackedLinearArgs args = workload.args(kind.order, rows);
    runner.run(args);
    if (!right(args)) {
      std::printf("%s %s %s rows %d: not the oracle's results\n", shape.name, kind.name, name_of(isa), rows);
      return false;
    }
  }

  std::vector<Figures> figures(options.rows.size());
  const MultiplyAdds peak = peak_for(isa, kind);
  for (int repetition = 0; repetition < options.repetitions; ++repetition) {
    double read_before = limits.read();
    double peak_before = limits.operations(peak);
    for (std::size_t i = 0; i < options.rows.size(); ++i) {
      PackedLinearArgs args = workload.args(kind.order, options.rows[i]);
      double all = 0;
      int runs = 0;
      while (all < kMeasureSeconds) {
        workload.next(args);
        all += runner.run(args);
        ++runs;
      }
      const double took = all / runs;
      const double bytes = static_cast<double>(args.weight.blocks() * args.weight.block_bytes()) / took;
      const double operations = 2.0 * args.rows * shape.outputs * shape.inputs / took;
      const double read_after = limits.read();
      const double peak_after = limits.operations(peak);
      figures[i].bytes.add(bytes);
      figures[i].operations.add(operations);
      figures[i].of_read.add(bytes * 2 / (read_before + read_after));
      figures[i].of_peak.add(operations * 2 / (peak_before + peak_after));
      read_before = read_after;
      peak_before = peak_after;
    }
  }
  for (std::size_t i = 0; i < options.rows.size(); ++i) {
    print(shape.name, kind.name, isa, options.rows[i], figures[i]);
  }
  return true;
}

void print_limits(MachineLimits& limits, const Options& options) {
  const auto print = [&](const std::string& name, const char* unit, const auto& measured) {
    Series series;
    for (int i = 0; i < options.repetitions; ++i) {
      series.add(measured() / 1e9);
    }
    std::printf("%s: %.1f %.1f %.1f %s\n", name.c_str(), series.at(0), series.at(0.5), series.at(1), unit);
  };
  print("read, " + std::to_string(options.stopwatch.threads) + " threads", "GB/s", [&] { return limits.read(); });
  for (const Peak& peak : peaks()) {
    const std::string name = std::string("peak ") + name_of(peak.isa) + " " + name_of(peak.number);
    print(name + " from registers", "GFLOP/s", [&] { return limits.operations(peak.loops.registers); });
    print(name + " from the second-level cache", "GFLOP/s", [&] { return limits.operations(peak.loops.l2); });
  }
}

int run(const Options& options) {
  MachineLimits limits(options.stopwatch);
  std::printf("min median max of %d repetitions\n", options.repetitions);
  print_limits(limits, options);
  bool all_right = true;
  for (const Shape& shape : kShapes) {
    for (const Kind& kind : kKinds) {
      for (const Isa isa : available_isas()) {
        // Generic has no instruction for fma on x86 and calls the C library for each: said by name only.
        const bool wanted = options.isa.empty() ? isa != Isa::generic : options.isa == name_of(isa);
        if (wanted && (options.kind.empty() ? kind.type != WeightType::float32 : options.kind == kind.name) &&
            (options.shape.empty() || options.shape == shape.name)) {
          all_right = measure(shape, kind, isa, limits, options) && all_right;
        }
      }
    }
  }
  return all_right ? 0 : 1;
}

}  // namespace
}  // namespace dolly4j::bench

int main(int count, char** arguments) {
  try {
    return dolly4j::bench::run(dolly4j::bench::parse(count, arguments));
  } catch (const dolly4j::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
