// Models and sessions made through the C API from weights in memory.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "api_status.h"
#include "decoder_cases.h"
#include "dolly4j.h"
#include "model/slots.h"
#include "temporary_file.h"

namespace dolly4j::test {

inline d4j_model_options libtorch_options(DecoderTypes types, int cuda_device) {
  return {D4J_BACKEND_LIBTORCH, types.weights, types.kv, cuda_device, 1, 0};
}

// Writes the weights to a file in float32 and calls call(rows) with all of its rows, one slot after the other.
template <class Call>
void for_all_rows(const d4j_decoder_spec& spec, const DecoderWeights& weights, const Call& call) {
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
    call(rows);
    offset += static_cast<std::int64_t>(values.size() * sizeof(float));
  }
}

// Loads the weights from a file in float32, or takes over a model that has them.
class LoadedModel {
 public:
  using Step = std::function<void(d4j_model*)>;
  // What of the C API is called with all rows.
  using RowCalls = std::vector<d4j_status (*)(d4j_model*, const d4j_rows*)>;

  LoadedModel(const d4j_decoder_spec& spec, DecoderTypes types, const DecoderWeights& weights, int cuda_device = -1)
      : LoadedModel(spec, libtorch_options(types, cuda_device), weights) {}

  LoadedModel(
      const d4j_decoder_spec& spec, const d4j_model_options& options, const DecoderWeights& weights,
      const Step& before_finish = [](d4j_model*) {}, const RowCalls& calls = {d4j_model_load_rows}) {
    check(d4j_model_create(&spec, &options, &model_));
    try {
      for (const auto call : calls) {
        for_all_rows(spec, weights, [&](const d4j_rows& rows) { check(call(model_, &rows)); });
      }
      before_finish(model_);
      check(d4j_model_finish(model_));
    } catch (...) {
      d4j_model_free(model_);
      throw;
    }
  }
  explicit LoadedModel(d4j_model* loaded) : model_(loaded) { check(d4j_model_finish(model_)); }
  LoadedModel(const LoadedModel&) = delete;
  LoadedModel& operator=(const LoadedModel&) = delete;
  ~LoadedModel() { d4j_model_free(model_); }

  d4j_model* get() const { return model_; }

 private:
  d4j_model* model_ = nullptr;
};

// Freed at the end of the scope, before its model.
class Session {
 public:
  static constexpr std::int32_t kMostRows = 128;  // of a step, all of which may want logits

  explicit Session(const LoadedModel& model, int blocks = 16) {
    const d4j_session_options options{blocks, kMostRows, kMostRows};
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

struct ModelAndSession {
  LoadedModel model;
  Session session;

  ModelAndSession(const d4j_decoder_spec& spec, const d4j_model_options& options, const DecoderWeights& weights,
                  int blocks)
      : model(spec, options, weights), session(model, blocks) {}
};

// Of a step over these sequences, all rows.
inline std::vector<float> logits_of(const Session& session, const d4j_decoder_spec& spec,
                                    const std::vector<SequenceStep>& sequences) {
  const OwnedStep step(spec, sequences);
  session.run(step.step());
  return step.logits();
}

}  // namespace dolly4j::test
