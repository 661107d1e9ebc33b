// The decoder step as its callers see it, whatever runs it.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "dolly4j.h"
#include "ops/ragged_batch.h"

namespace dolly4j {

/// A KV cache and the steps over it, for one thread at a time. The step has passed check_step.
class StepRunner {
 public:
  virtual ~StepRunner() = default;

  /// Runs a step. Throws D4J_ABORTED at the next layer once `abort` is set.
  virtual void run(const d4j_step& step, const std::atomic<bool>& abort) = 0;

  virtual void copy_block(std::int32_t source, std::int32_t target) = 0;
};

/// A loaded decoder of one backend; makes runners that share its weights.
class Decoder {
 public:
  virtual ~Decoder() = default;

  virtual std::unique_ptr<StepRunner> new_runner(const d4j_session_options& options) const = 0;
};

/// The rows, sequences and blocks of a step that has passed check_step; points into the step.
RaggedBatch batch_of(const d4j_step& step);

/// Throws D4J_INVALID_ARGUMENT unless all ids, positions, blocks and rows of a step are in range and fit each other.
void check_step(const d4j_decoder_spec& spec, const d4j_session_options& options, const d4j_step& step);

}  // namespace dolly4j
