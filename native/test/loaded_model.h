// Models and sessions made through the C API from weights in memory.
#pragma once

#include <cstdint>
#include <vector>

#include "api_status.h"
#include "decoder_cases.h"
#include "dolly4j.h"
#include "model/slots.h"
#include "temporary_file.h"

namespace dolly4j::test {

// Writes the weights to a file in float32 and loads them from there.
class LoadedModel {
 public:
  LoadedModel(const d4j_decoder_spec& spec, DecoderTypes types, const DecoderWeights& weights, int cuda_device = -1)
      : LoadedModel(spec, {D4J_BACKEND_LIBTORCH, types.weights, types.kv, cuda_device, 1, 0}, weights) {}

  LoadedModel(const d4j_decoder_spec& spec, const d4j_model_options& options, const DecoderWeights& weights) {
    check(d4j_model_create(&spec, &options, &model_));
    try {
      load(spec, weights);
      check(d4j_model_finish(model_));
    } catch (...) {
      d4j_model_free(model_);
      throw;
    }
  }
  LoadedModel(const LoadedModel&) = delete;
  LoadedModel& operator=(const LoadedModel&) = delete;
  ~LoadedModel() { d4j_model_free(model_); }

  d4j_model* get() const { return model_; }

 private:
  void load(const d4j_decoder_spec& spec, const DecoderWeights& weights) {
    std::vector<float> elements;
    for (const auto& [place, values] : weights) {
      elements.insert(elements.end(), values.begin(), values.end());
    }
    const TemporaryFile file(elements);
    std::int64_t offset = 0;
    for (const auto& [place, values] : weights) {
      const SlotShape shape = slot_shape(spec, place.first);
      const std::int32_t run[3] = {0, 0, static_cast<std::int32_t>(shape.rows)};
      d4j_rows rows{};
      rows.name = slot_name(place.first);
      rows.path = file.path().c_str();
      rows.offset = offset;
      rows.rows = shape.rows;
      rows.columns = shape.columns;
      rows.row_stride = shape.columns;
      rows.column_stride = 1;
      rows.dtype = D4J_FLOAT32;
      rows.slot = place.first;
      rows.layer = place.second;
      rows.run_count = 1;
      rows.runs = run;
      check(d4j_model_load_rows(model_, &rows));
      offset += static_cast<std::int64_t>(values.size() * sizeof(float));
    }
  }

  d4j_model* model_ = nullptr;
};

// Freed at the end of the scope, before its model.
class Session {
 public:
  explicit Session(const LoadedModel& model, int blocks = 16) {
    const d4j_session_options options{blocks, 128, 128};
    check(d4j_session_create(model.get(), &options, &session_));
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session() { d4j_session_free(session_); }

  d4j_session* get() const { return session_; }

  void run(const d4j_step& step) const { check(d4j_session_step(session_, &step)); }

 private:
  d4j_session* session_ = nullptr;
};

}  // namespace dolly4j::test
