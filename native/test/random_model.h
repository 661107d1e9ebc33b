// A decoder with random weights, loaded through the C API from a file of its own.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "dolly4j.h"
#include "model/slots.h"

namespace dolly4j::test {

/// Folder of libtorch for tests, or null: then tests that need it are skipped.
inline const char* libtorch_directory() { return std::getenv("DOLLY4J_TEST_LIBTORCH"); }

inline void check(d4j_status status) {
  if (status != D4J_OK) {
    throw std::runtime_error(d4j_last_error());
  }
}

/// A small decoder; tests change what they are about.
inline d4j_decoder_spec small_spec() {
  d4j_decoder_spec spec{};
  spec.layers = 2;
  spec.heads = 3;
  spec.head_size = 20;
  spec.hidden_size = 60;
  spec.ffn_size = 100;
  spec.vocab_size = 131;
  spec.context_length = 96;
  spec.rotary_dims = 8;
  spec.rotary_base = 10000;
  spec.norm_epsilon = 1e-5;
  spec.activation = D4J_GELU_ERF;
  spec.parallel_residual = 1;
  spec.attention_bias = 1;
  spec.ffn_bias = 1;
  return spec;
}

class RandomModel {
 public:
  explicit RandomModel(const d4j_decoder_spec& spec, d4j_dtype compute_type = D4J_FLOAT32) : spec_(spec) {
    std::mt19937 random(42);
    std::normal_distribution<float> normal;
    const d4j_model_options options{D4J_BACKEND_LIBTORCH, compute_type, -1};
    check(d4j_model_create(&spec, &options, &model_));
    for (int s = 0; s < D4J_SLOT_COUNT; ++s) {
      const auto slot = static_cast<d4j_slot>(s);
      const SlotShape shape = slot_shape(spec, slot);
      for (int layer = 0; shape.present && layer < (shape.per_layer ? spec.layers : 1); ++layer) {
        std::vector<float> values(static_cast<std::size_t>(shape.rows * shape.columns));
        const float scale = shape.columns > 1 ? 1.0F / std::sqrt(static_cast<float>(shape.columns)) : 0.1F;
        for (float& value : values) {
          value = scale * normal(random) + (shape.is_norm && s % 2 == D4J_ATTENTION_NORM_WEIGHT % 2 ? 1.0F : 0.0F);
        }
        load(slot, layer, shape, values);
        weights_[{slot, layer}] = std::move(values);
      }
    }
    check(d4j_model_finish(model_));
  }
  RandomModel(const RandomModel&) = delete;
  RandomModel& operator=(const RandomModel&) = delete;
  ~RandomModel() { d4j_model_free(model_); }

  d4j_model* get() const { return model_; }
  const d4j_decoder_spec& spec() const { return spec_; }

  /// Values of a slot as written to the file, row-major.
  const std::vector<float>& weights(d4j_slot slot, int layer = 0) const { return weights_.at({slot, layer}); }

 private:
  void load(d4j_slot slot, int layer, const SlotShape& shape, const std::vector<float>& values) {
    const std::string path = testing_directory() + "/weights-" + std::to_string(slot) + "-" + std::to_string(layer);
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(values.data()),
               static_cast<std::streamsize>(values.size() * sizeof(float)));
    const std::int32_t run[3] = {0, 0, static_cast<std::int32_t>(shape.rows)};
    d4j_rows rows{};
    rows.name = slot_name(slot);
    rows.path = path.c_str();
    rows.rows = shape.rows;
    rows.columns = shape.columns;
    rows.row_stride = shape.columns;
    rows.column_stride = 1;
    rows.dtype = D4J_FLOAT32;
    rows.slot = slot;
    rows.layer = layer;
    rows.run_count = 1;
    rows.runs = run;
    check(d4j_model_load_rows(model_, &rows));
    std::remove(path.c_str());
  }

  static std::string testing_directory() {
    static const std::string directory = [] {
      std::string pattern = "/tmp/dolly4j-test-XXXXXX";
      if (mkdtemp(pattern.data()) == nullptr) {
        throw std::runtime_error("cannot make a folder in /tmp");
      }
      return pattern;
    }();
    return directory;
  }

  d4j_decoder_spec spec_;
  d4j_model* model_ = nullptr;
  std::map<std::pair<d4j_slot, int>, std::vector<float>> weights_;
};

/// Rows of one sequence in a step.
struct Slice {
  std::vector<std::int32_t> tokens;  // new ones
  std::int32_t cached = 0;           // tokens before them
  std::vector<std::int32_t> blocks;  // block table
};

/// A step over slices, all rows of which want logits.
class StepInput {
 public:
  StepInput(const d4j_decoder_spec& spec, const std::vector<Slice>& slices) {
    std::size_t stride = 0;
    for (const Slice& slice : slices) {
      stride = std::max(stride, slice.blocks.size());
    }
    starts_.push_back(0);
    for (const Slice& slice : slices) {
      for (std::size_t i = 0; i < slice.tokens.size(); ++i) {
        tokens_.push_back(slice.tokens[i]);
        positions_.push_back(slice.cached + static_cast<std::int32_t>(i));
        wanted_.push_back(static_cast<std::int32_t>(wanted_.size()));
      }
      starts_.push_back(static_cast<std::int32_t>(tokens_.size()));
      contexts_.push_back(slice.cached + static_cast<std::int32_t>(slice.tokens.size()));
      std::vector<std::int32_t> table = slice.blocks;
      table.resize(stride, -1);
      tables_.insert(tables_.end(), table.begin(), table.end());
    }
    logits_.resize(tokens_.size() * static_cast<std::size_t>(spec.vocab_size));
    hidden_.resize(tokens_.size() * static_cast<std::size_t>(spec.hidden_size) *
                   static_cast<std::size_t>(spec.layers + 2));
    step_.rows = static_cast<std::int32_t>(tokens_.size());
    step_.sequences = static_cast<std::int32_t>(slices.size());
    step_.block_table_stride = static_cast<std::int32_t>(stride);
    step_.logits_count = step_.rows;
    step_.tokens = tokens_.data();
    step_.positions = positions_.data();
    step_.sequence_starts = starts_.data();
    step_.context_lengths = contexts_.data();
    step_.block_tables = tables_.data();
    step_.logits_rows = wanted_.data();
    step_.logits = logits_.data();
    step_.hidden = hidden_.data();
  }
  StepInput(const StepInput&) = delete;
  StepInput& operator=(const StepInput&) = delete;

  d4j_step& step() { return step_; }
  std::vector<float>& logits() { return logits_; }
  std::vector<float>& hidden() { return hidden_; }

 private:
  std::vector<std::int32_t> tokens_, positions_, starts_, contexts_, tables_, wanted_;
  std::vector<float> logits_, hidden_;
  d4j_step step_{};
};

/// A session freed at the end of the scope.
class Session {
 public:
  explicit Session(const RandomModel& model, std::int32_t blocks = 16, std::int32_t max_rows = 128) {
    const d4j_session_options options{blocks, max_rows, max_rows};
    check(d4j_session_create(model.get(), &options, &session_));
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session() { d4j_session_free(session_); }

  d4j_session* get() const { return session_; }

  std::vector<float> run(const d4j_decoder_spec& spec, const std::vector<Slice>& slices) const {
    StepInput input(spec, slices);
    check(d4j_session_step(session_, &input.step()));
    return input.logits();
  }

 private:
  d4j_session* session_ = nullptr;
};

}  // namespace dolly4j::test
