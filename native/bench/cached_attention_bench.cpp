// Speed of cached_attention for one layer after the other, with keys and values that no cache of the CPU holds.
//
//   cached_attention_bench [--threads N] [--repetitions N]        instruction set: DOLLY4J_ISA
//
// Checks results against float64 first. Before and after every repetition the machine's own limit is measured, and the
// ratios of the repetitions give the median.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "cpu/aligned_memory.h"
#include "cpu/isa.h"
#include "machine_limits.h"
#include "ops/attention_items.h"

namespace dolly4j::bench {
namespace {

constexpr int kHeads = 32;
constexpr int kHeadSize = 80;
constexpr int kWidth = kHeads * kHeadSize;
constexpr std::int64_t kPoolBytes = std::int64_t{256} << 20;       // of keys, and of values
constexpr std::int64_t kMostRowPositions = std::int64_t{1} << 21;  // rows times context that a repetition goes through

struct Options {
  int threads = static_cast<int>(std::thread::hardware_concurrency());
  int repetitions = 9;
};

std::uint64_t next_random(std::uint64_t& state) {
  state = state * 6364136223846793005U + 1442695040888963407U;
  return state >> 33;
}

// Uniform in -1 .. 1.
float random_number(std::uint64_t& state) {
  return static_cast<float>(static_cast<double>(next_random(state)) * 0x1p-30 - 1);
}

class Pool {
 public:
  Pool() : keys_(kPoolBytes, "keys"), values_(kPoolBytes, "values") {
    std::uint64_t state = 1;
    for (AlignedMemory* memory : {&keys_, &values_}) {
      auto* numbers = static_cast<bfloat16*>(memory->data());
      for (std::int64_t i = 0; i < kPoolBytes / 2; i++) {
        numbers[i] = to_bfloat16(2 * random_number(state));
      }
    }
    blocks_ = static_cast<int>(kPoolBytes / 2 / cache().keys_at(1, 0));
  }

  PackedKvCache cache() const { return {keys_.data(), values_.data(), DType::bfloat16, kHeads, kHeadSize}; }
  int blocks() const { return blocks_; }

 private:
  AlignedMemory keys_;
  AlignedMemory values_;
  int blocks_ = 0;
};

// A batch of equal sequences, in as many layers as the pool has blocks for, or as are enough work.
class Batch {
 public:
  Batch(const Pool& pool, int threads, int sequences, int context, int rows_each)
      : pool_(pool),
        sequences_(sequences),
        context_(context),
        rows_each_(rows_each),
        items_(kHeads, threads, sequences * rows_each) {
    std::uint64_t state = 2;
    stride_ = (context + kKvBlockSize - 1) / kKvBlockSize;
    const std::int64_t most_layers = kMostRowPositions / (std::int64_t{sequences} * rows_each * context);
    layers_ = static_cast<int>(std::clamp<std::int64_t>(pool.blocks() / (sequences * stride_), 1, most_layers));
    for (int i = 0; i < layers_ * sequences * stride_; i++) {
      tables_.push_back(i);
    }
    for (std::size_t i = 1; i < tables_.size(); i++) {
      std::swap(tables_[i], tables_[next_random(state) % (i + 1)]);
    }
    for (int s = 0; s < sequences; s++) {
      starts_.push_back(s * rows_each);
      contexts_.push_back(context);
      for (int row = 0; row < rows_each; row++) {
        positions_.push_back(context - rows_each + row);
      }
    }
    starts_.push_back(rows());
    for (int i = 0; i < rows() * kWidth; i++) {
      q_.push_back(to_float(to_bfloat16(2 * random_number(state))));
    }
    y_.resize(activation_elements(rows(), kWidth));
    items_.plan(args(0).batch);
  }

  int rows() const { return sequences_ * rows_each_; }
  int layers() const { return layers_; }

  CachedAttentionArgs args(int layer) {
    RaggedBatch batch{};
    batch.rows = rows();
    batch.sequences = sequences_;
    batch.sequence_starts = starts_.data();
    batch.context_lengths = contexts_.data();
    batch.positions = positions_.data();
    batch.block_tables = tables_.data() + std::int64_t{layer} * sequences_ * stride_;
    batch.block_table_stride = stride_;
    return {q_.data(), pool_.cache(), {y_.data(), DType::bfloat16, kWidth}, batch};
  }

  // Keys and values of a layer, whole blocks, each read once.
  double bytes() const { return 4.0 * kWidth * kKvBlockSize * stride_ * sequences_; }

  // Of the scores and of the sums of values.
  double flops() const {
    double positions = 0;
    for (const std::int32_t position : positions_) {
      positions += position + 1;
    }
    return 4.0 * kWidth * positions;
  }

  // Seconds for the layers, each after the other; the items shared by the threads.
  double run(const CachedAttention& attention, int first_layer, int last_layer,
             const std::vector<AlignedMemory>& scratch) {
    const auto threads = static_cast<int>(scratch.size());
    const std::vector<AttentionItem>& items = items_.items();
    const auto count = static_cast<std::int64_t>(items.size());
    return Stopwatch{threads, Clock::thread}.time([&](int thread) {
      for (int layer = first_layer; layer < last_layer; layer++) {
        const CachedAttentionArgs arguments = args(layer);
        for (std::int64_t i = count * thread / threads; i < count * (thread + 1) / threads; i++) {
          attention.run(arguments, items[i], scratch[thread].data());
        }
      }
    });
  }

  // Largest difference of the last layer that ran from float64, for the last row, over the largest value.
  double error(int layer) {
    const CachedAttentionArgs arguments = args(layer);
    const int row = rows() - 1;
    const std::int32_t* blocks = arguments.batch.block_tables + std::int64_t{sequences_ - 1} * stride_;
    const PackedKvCache& cache = arguments.cache;
    const auto* keys = static_cast<const bfloat16*>(cache.keys);
    const auto* values = static_cast<const bfloat16*>(cache.values);
    double worst = 0;
    for (int head = 0; head < kHeads; head++) {
      std::vector<double> sums(kHeadSize);
      double total = 0;
      for (int j = 0; j < context_; j++) {
        const int block = blocks[j / kKvBlockSize];
        const int slot = j % kKvBlockSize;
        double score = 0;
        for (int i = 0; i < kHeadSize; i++) {
          score += static_cast<double>(q_[std::int64_t{row} * kWidth + head * kHeadSize + i]) *
                   static_cast<double>(to_float(keys[cache.keys_at(block, head) + cache.key_place(slot, i)]));
        }
        const double p = std::exp(score / std::sqrt(static_cast<double>(kHeadSize)));
        total += p;
        for (int i = 0; i < kHeadSize; i++) {
          sums[i] +=
              p * static_cast<double>(to_float(values[cache.values_at(block, head) + cache.value_place(slot, i)]));
        }
      }
      for (int i = 0; i < kHeadSize; i++) {
        const double y = to_float(y_[arguments.y.place(row, head * kHeadSize + i)]);
        worst = std::max(worst, std::abs(y - sums[i] / total) / 2);
      }
    }
    return worst;
  }

 private:
  const Pool& pool_;
  int sequences_;
  int context_;
  int rows_each_;
  int stride_ = 0;
  int layers_ = 0;
  std::vector<std::int32_t> tables_;
  std::vector<std::int32_t> starts_;
  std::vector<std::int32_t> contexts_;
  std::vector<std::int32_t> positions_;
  std::vector<float> q_;
  std::vector<bfloat16> y_;
  AttentionItems items_;
};

struct Figures {
  double microseconds;  // a layer
  double rate;          // bytes or operations per second
  double of_limit;
};

// `limit` measures what the machine does at best, in the units of `work`, the work of a layer.
template <class Limit>
Figures measure(Batch& batch, const CachedAttention& attention, int repetitions,
                const std::vector<AlignedMemory>& scratch, double work, const Limit& limit) {
  std::vector<double> rates;
  std::vector<double> ratios;
  double before = limit();
  for (int i = 0; i < repetitions; i++) {
    const double time = batch.run(attention, 0, batch.layers(), scratch);
    const double after = limit();
    rates.push_back(work * batch.layers() / time);
    ratios.push_back(rates.back() / ((before + after) / 2));
    before = after;
  }
  return {work / median(rates) * 1e6, median(rates), median(ratios)};
}

int parse(const char* text, const char* option) {
  const int number = std::atoi(text);
  if (number < 1) {
    std::fprintf(stderr, "%s needs a number above 0, not '%s'\n", option, text);
    std::exit(2);
  }
  return number;
}

int main_of(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; i += 2) {
    const std::string option = argv[i];
    if (i + 1 < argc && option == "--threads") {
      options.threads = parse(argv[i + 1], "--threads");
    } else if (i + 1 < argc && option == "--repetitions") {
      options.repetitions = parse(argv[i + 1], "--repetitions");
    } else {
      std::fprintf(stderr, "usage: cached_attention_bench [--threads N] [--repetitions N]\n");
      return 2;
    }
  }
  const Isa isa = chosen_isa();
  const CachedAttention attention = cached_attention(isa);
  MachineLimits limits({options.threads, Clock::thread});
  // Those of float32 on every instruction set, so that the shares compare; avx512_bf16 computes with pairs of bfloat16.
  const MultiplyAdds multiply_adds = peak(isa, Number::float32).loops.registers;
  const Pool pool;
  std::vector<AlignedMemory> scratch;
  for (int i = 0; i < options.threads; i++) {
    scratch.emplace_back(attention.scratch_bytes(kHeadSize), "scratch");
  }
  std::printf("%s, %d threads, %d heads of %d, bfloat16; medians of %d; CPU time of the slowest thread\n", name_of(isa),
              options.threads, kHeads, kHeadSize, options.repetitions);
  const auto check = [&](Batch& batch) {
    batch.run(attention, batch.layers() - 1, batch.layers(), scratch);
    const double error = batch.error(batch.layers() - 1);
    if (!(error < 0.01)) {
      std::fprintf(stderr, "wrong result: off by %g\n", error);
      std::exit(1);
    }
  };

  std::printf("\ndecode\nsequences  context  us/layer    GB/s  of read speed\n");
  for (const int sequences : {1, 8, 32}) {
    for (const int context : {64, 512, 1536}) {
      Batch batch(pool, options.threads, sequences, context, 1);
      check(batch);
      const Figures figures =
          measure(batch, attention, options.repetitions, scratch, batch.bytes(), [&] { return limits.read(); });
      std::printf("%9d %8d %9.0f %7.1f %14.2f\n", sequences, context, figures.microseconds, figures.rate / 1e9,
                  figures.of_limit);
    }
  }
  std::printf("\nprefill\n     rows  context  us/layer GFLOP/s  of float32 multiply-adds from registers\n");
  struct Prompt {
    int rows;
    int context;
  };
  for (const auto& [rows, context] : {Prompt{256, 256}, Prompt{1024, 1024}, Prompt{256, 1536}}) {
    Batch batch(pool, options.threads, 1, context, rows);
    check(batch);
    const Figures figures = measure(batch, attention, options.repetitions, scratch, batch.flops(),
                                    [&] { return limits.operations(multiply_adds); });
    std::printf("%9d %8d %9.0f %7.1f %14.2f\n", rows, context, figures.microseconds, figures.rate / 1e9,
                figures.of_limit);
  }
  return 0;
}

}  // namespace
}  // namespace dolly4j::bench

int main(int argc, char** argv) { return dolly4j::bench::main_of(argc, argv); }
