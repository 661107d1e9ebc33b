#include "model/step.h"

#include <algorithm>
#include <string>

#include "api/error.h"

namespace dolly4j {
namespace {

// Messages are put together only when something is wrong: these checks run for every row and block of every step.

[[noreturn]] void reject(const std::string& message) { throw Error(D4J_INVALID_ARGUMENT, "step: " + message); }

void check_counts(const d4j_session_options& options, const d4j_step& step) {
  if (step.rows < 1 || step.rows > options.max_rows) {
    reject(range_message("rows", step.rows, 1, options.max_rows));
  }
  if (step.sequences < 1 || step.sequences > step.rows) {
    reject(range_message("sequences", step.sequences, 1, step.rows));
  }
  const std::int32_t most_logits = std::min(step.rows, options.max_logits_rows);
  if (step.logits_count < 0 || step.logits_count > most_logits) {
    reject(range_message("logits_count", step.logits_count, 0, most_logits));
  }
  if (step.block_table_stride < 1) {
    reject("block_table_stride must be 1 or more, not " + std::to_string(step.block_table_stride));
  }
}

void check_arrays(const d4j_step& step) {
  const struct {
    const char* name;
    const void* data;
    bool needed;
  } arrays[] = {{"tokens", step.tokens, true},
                {"positions", step.positions, true},
                {"sequence_starts", step.sequence_starts, true},
                {"context_lengths", step.context_lengths, true},
                {"block_tables", step.block_tables, true},
                {"logits_rows", step.logits_rows, step.logits_count > 0},
                {"logits", step.logits, step.logits_count > 0}};
  for (const auto& array : arrays) {
    if (array.needed && array.data == nullptr) {
      reject(std::string(array.name) + " is missing");
    }
  }
}

void check_rows(const d4j_decoder_spec& spec, const d4j_step& step, std::int32_t sequence) {
  const std::int32_t end = step.sequence_starts[sequence + 1];
  const std::int32_t context = step.context_lengths[sequence];
  for (std::int32_t row = step.sequence_starts[sequence]; row < end; ++row) {
    if (step.tokens[row] < 0 || step.tokens[row] >= spec.vocab_size) {
      reject("row " + std::to_string(row) + " has the token " + std::to_string(step.tokens[row]) +
             "; the vocabulary has " + std::to_string(spec.vocab_size));
    }
    const std::int32_t position = context - (end - row);
    if (step.positions[row] != position) {
      reject("row " + std::to_string(row) + " has the position " + std::to_string(step.positions[row]) + "; expected " +
             std::to_string(position) + ", since the rows of a sequence are its last ones, in order");
    }
  }
}

void check_blocks(const d4j_session_options& options, const d4j_step& step, std::int32_t sequence) {
  const std::int32_t context = step.context_lengths[sequence];
  const std::int32_t blocks = (context + D4J_BLOCK_SIZE - 1) / D4J_BLOCK_SIZE;
  if (blocks > step.block_table_stride) {
    reject("sequence " + std::to_string(sequence) + " needs " + std::to_string(blocks) + " blocks for its " +
           std::to_string(context) + " tokens; its block table has " + std::to_string(step.block_table_stride));
  }
  const std::int32_t* table = step.block_tables + std::int64_t{sequence} * step.block_table_stride;
  for (std::int32_t i = 0; i < blocks; ++i) {
    if (table[i] < 0 || table[i] >= options.blocks) {
      reject("sequence " + std::to_string(sequence) + " names the block " + std::to_string(table[i]) +
             "; the session has " + std::to_string(options.blocks));
    }
  }
}

void check_sequence(const d4j_decoder_spec& spec, const d4j_session_options& options, const d4j_step& step,
                    std::int32_t sequence) {
  const std::int32_t start = step.sequence_starts[sequence];
  const std::int32_t end = step.sequence_starts[sequence + 1];
  if (start >= end || end > step.rows) {
    reject("sequence " + std::to_string(sequence) + " has the rows from " + std::to_string(start) + " to before " +
           std::to_string(end) + "; expected one or more, within " + std::to_string(step.rows));
  }
  const std::int32_t context = step.context_lengths[sequence];
  if (context < end - start || context > spec.context_length) {
    reject("sequence " + std::to_string(sequence) + ": " +
           range_message("context_lengths", context, end - start, spec.context_length));
  }
  check_rows(spec, step, sequence);
  check_blocks(options, step, sequence);
}

}  // namespace

RaggedBatch batch_of(const d4j_step& step) {
  RaggedBatch batch{};
  batch.rows = step.rows;
  batch.sequences = step.sequences;
  batch.sequence_starts = step.sequence_starts;
  batch.context_lengths = step.context_lengths;
  batch.positions = step.positions;
  batch.block_tables = step.block_tables;
  batch.block_table_stride = step.block_table_stride;
  return batch;
}

void check_step(const d4j_decoder_spec& spec, const d4j_session_options& options, const d4j_step& step) {
  check_counts(options, step);
  check_arrays(step);
  if (step.sequence_starts[0] != 0 || step.sequence_starts[step.sequences] != step.rows) {
    reject("sequence_starts must run from 0 to " + std::to_string(step.rows) + ", not from " +
           std::to_string(step.sequence_starts[0]) + " to " + std::to_string(step.sequence_starts[step.sequences]));
  }
  for (std::int32_t s = 0; s < step.sequences; ++s) {
    check_sequence(spec, options, step, s);
  }
  for (std::int32_t i = 0; i < step.logits_count; ++i) {
    if (step.logits_rows[i] < 0 || step.logits_rows[i] >= step.rows) {
      reject("logits are wanted of row " + std::to_string(step.logits_rows[i]) + "; the step has " +
             std::to_string(step.rows));
    }
  }
}

}  // namespace dolly4j
