#include "model/step.h"

#include <string>

#include "api/error.h"

namespace dolly4j {
namespace {

void check_sequence(const d4j_decoder_spec& spec, const d4j_session_options& options, const d4j_step& step,
                    std::int32_t s) {
  const std::string name = "step: sequence " + std::to_string(s);
  const std::int32_t start = step.sequence_starts[s];
  const std::int32_t end = step.sequence_starts[s + 1];
  const std::int32_t context = step.context_lengths[s];
  require(start < end && end <= step.rows, name + " has no rows, or rows past the last");
  require(context >= end - start && context <= spec.context_length,
          name + " has a context of " + std::to_string(context) + " tokens; expected " + std::to_string(end - start) +
              " .. " + std::to_string(spec.context_length));
  for (std::int32_t r = start; r < end; ++r) {
    require(step.tokens[r] >= 0 && step.tokens[r] < spec.vocab_size,
            name + " has the token " + std::to_string(step.tokens[r]) + "; the vocabulary has " +
                std::to_string(spec.vocab_size));
    require(step.positions[r] == context - (end - r), name + ": the rows are not its last positions in order");
  }
  const std::int32_t blocks = (context + D4J_BLOCK_SIZE - 1) / D4J_BLOCK_SIZE;
  require(blocks <= step.block_table_stride, name + " needs " + std::to_string(blocks) + " blocks; the table has " +
                                                 std::to_string(step.block_table_stride));
  for (std::int32_t b = 0; b < blocks; ++b) {
    const std::int32_t block = step.block_tables[std::int64_t{s} * step.block_table_stride + b];
    require(block >= 0 && block < options.blocks,
            name + " names the block " + std::to_string(block) + " of " + std::to_string(options.blocks));
  }
}

}  // namespace

void check_step(const d4j_decoder_spec& spec, const d4j_session_options& options, const d4j_step& step) {
  require(step.rows >= 1 && step.rows <= options.max_rows,
          "step: rows must be 1 .. " + std::to_string(options.max_rows) + ", not " + std::to_string(step.rows));
  require(step.sequences >= 1 && step.sequences <= step.rows,
          "step: sequences must be 1 .. " + std::to_string(step.rows) + ", not " + std::to_string(step.sequences));
  require(step.logits_count >= 0 && step.logits_count <= options.max_logits_rows && step.logits_count <= step.rows,
          "step: too many rows want logits, " + std::to_string(step.logits_count));
  require(step.tokens != nullptr && step.positions != nullptr && step.sequence_starts != nullptr &&
              step.context_lengths != nullptr && step.block_tables != nullptr && step.block_table_stride >= 1 &&
              (step.logits_count == 0 || (step.logits_rows != nullptr && step.logits != nullptr)),
          "step: an array is missing");
  require(step.sequence_starts[0] == 0 && step.sequence_starts[step.sequences] == step.rows,
          "step: sequence_starts must run from 0 to rows");
  for (std::int32_t s = 0; s < step.sequences; ++s) {
    check_sequence(spec, options, step, s);
  }
  for (std::int32_t i = 0; i < step.logits_count; ++i) {
    require(
        step.logits_rows[i] >= 0 && step.logits_rows[i] < step.rows,
        "step: logits are wanted of row " + std::to_string(step.logits_rows[i]) + " of " + std::to_string(step.rows));
  }
}

}  // namespace dolly4j
