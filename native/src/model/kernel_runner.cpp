#include "model/kernel_runner.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <initializer_list>
#include <vector>

#include "api/error.h"
#include "cpu/aligned_memory.h"
#include "cpu/flush_denormals.h"
#include "model/activation_memory.h"
#include "model/step_threads.h"
#include "ops/attention_items.h"

namespace dolly4j {
namespace {

class KernelRunner final : public StepRunner {
 public:
  KernelRunner(const KernelModel& model, const d4j_session_options& options);

  void run(const d4j_step& step, const std::atomic<bool>& abort) override;
  void copy_block(std::int32_t source, std::int32_t target) override;

 private:
  using Norm = KernelModel::Norm;
  using Layer = KernelModel::Layer;

  PackedKvCache cache(int layer) const;
  std::int64_t key_bytes() const;  // of a block of a layer
  std::int64_t value_bytes() const;

  void prepare(const d4j_step& step);
  void embed(const d4j_step& step);
  void normalize(const Norm& attention, const Norm* ffn);
  PackedLinearArgs linear_args(const PackedWeight& weight, const Activations& x, int rows, void* prepared) const;
  PackedLinearArgs qkv_args(const Layer& layer) const;
  PackedLinearArgs fc1_args(const Layer& layer, const Activations& x) const;
  PackedLinearArgs add_args(const PackedWeight& weight, const Activations& x, void* prepared,
                            const float* addend) const;
  void prepare_inputs(std::initializer_list<PackedLinearArgs> matmuls);
  void run_side_by_side(const PackedLinearArgs& a, PackedLinearArgs b);
  void run_linear(const PackedLinearArgs& args);
  void attend(int layer);
  void parallel_block(int layer);
  void sequential_block(int layer);
  void show_final_norm(float* target);
  void compute_logits(const d4j_step& step);

  const KernelModel& model_;
  AlignedMemory keys_;  // layers behind each other
  AlignedMemory values_;
  int blocks_;

  FloatMemory residual_;              // [rows, hidden]
  ActivationMemory attention_input_;  // normalised rows
  ActivationMemory ffn_input_;
  FloatMemory qkv_;      // [rows, 3 * hidden]
  FloatMemory queries_;  // [rows, hidden]
  ActivationMemory attended_;
  ActivationMemory activated_;    // after GELU
  FloatMemory attention_output_;  // [rows, hidden]
  ActivationMemory head_input_;
  AlignedMemory prepared_;      // inputs as attention's matmuls and the head take them: packed_linear.h
  AlignedMemory ffn_prepared_;  // as the feed-forward's do
  StepThreads threads_;

  // Of the running step.
  RaggedBatch batch_{};
  std::vector<std::int32_t> row_sequences_;
  AttentionItems attention_items_;
};

std::int64_t most_scratch(const KernelModel& model, const d4j_session_options& options) {
  return std::max(model.linears.scratch_bytes(options.max_rows), model.attention.scratch_bytes(model.spec.head_size));
}

AlignedMemory prepared_memory(const KernelModel& model, const d4j_session_options& options, int inputs) {
  return {static_cast<std::size_t>(model.linears.prepared_bytes(options.max_rows, inputs)), "prepared inputs"};
}

KernelRunner::KernelRunner(const KernelModel& model, const d4j_session_options& options)
    : model_(model),
      keys_(static_cast<std::size_t>(key_bytes() * options.blocks * model.spec.layers), "KV cache"),
      values_(static_cast<std::size_t>(value_bytes() * options.blocks * model.spec.layers), "KV cache"),
      blocks_(options.blocks),
      residual_(options.max_rows, model.spec.hidden_size),
      attention_input_(options.max_rows, model.spec.hidden_size, model.dtype),
      ffn_input_(options.max_rows, model.spec.hidden_size, model.dtype),
      qkv_(options.max_rows, std::int64_t{3} * model.spec.hidden_size),
      queries_(options.max_rows, model.spec.hidden_size),
      attended_(options.max_rows, model.spec.hidden_size, model.dtype),
      activated_(options.max_rows, model.spec.ffn_size, model.dtype),
      attention_output_(options.max_rows, model.spec.hidden_size),
      head_input_(options.max_logits_rows, model.spec.hidden_size, model.dtype),
      prepared_(prepared_memory(model, options, model.spec.hidden_size)),
      ffn_prepared_(prepared_memory(model, options, std::max(model.spec.hidden_size, model.spec.ffn_size))),
      threads_(model.threads, most_scratch(model, options)),
      attention_items_(model.spec.heads, model.threads, options.max_rows) {
  row_sequences_.reserve(static_cast<std::size_t>(options.max_rows));
}

std::int64_t KernelRunner::key_bytes() const {
  return model_.cache_shape.keys_at(1, 0) * size_of(model_.cache_shape.dtype);
}

std::int64_t KernelRunner::value_bytes() const {
  return model_.cache_shape.values_at(1, 0) * size_of(model_.cache_shape.dtype);
}

PackedKvCache KernelRunner::cache(int layer) const {
  PackedKvCache cache = model_.cache_shape;
  cache.keys = static_cast<std::uint8_t*>(keys_.data()) + key_bytes() * blocks_ * layer;
  cache.values = static_cast<std::uint8_t*>(values_.data()) + value_bytes() * blocks_ * layer;
  return cache;
}

/// What the layers of a step share.
void KernelRunner::prepare(const d4j_step& step) {
  batch_ = batch_of(step);
  row_sequences_.clear();
  for (std::int32_t s = 0; s < batch_.sequences; ++s) {
    const std::int32_t first = batch_.sequence_starts[s];
    const std::int32_t last = batch_.sequence_starts[s + 1];
    row_sequences_.insert(row_sequences_.end(), static_cast<std::size_t>(last - first), s);
  }
  attention_items_.plan(batch_);
}

void KernelRunner::embed(const d4j_step& step) {
  const std::int64_t hidden = model_.spec.hidden_size;
  threads_.for_shares(step.rows, [&](int first, int last, void*) {
    for (int row = first; row < last; ++row) {
      const std::int64_t source = step.tokens[row] * hidden;
      float* target = residual_.get() + row * hidden;
      for (std::int64_t i = 0; i < hidden; ++i) {
        target[i] = model_.embedding.at(source + i);
      }
    }
  });
}

/// The residual's rows as inputs of attention, and of the feed-forward where its norm is given.
void KernelRunner::normalize(const Norm& attention, const Norm* ffn) {
  TiledNormOutput outputs[2] = {{attention.gamma, attention.beta, attention_input_.get()}, {}};
  if (ffn != nullptr) {
    outputs[1] = {ffn->gamma, ffn->beta, ffn_input_.get()};
  }
  const TiledLayerNormArgs args{residual_.get(),
                                nullptr,
                                outputs,
                                ffn == nullptr ? 1 : 2,
                                model_.spec.hidden_size,
                                static_cast<float>(model_.spec.norm_epsilon)};
  threads_.for_shares(batch_.rows, [&](int first, int last, void*) { model_.layer_norm(args, first, last); });
}

PackedLinearArgs KernelRunner::linear_args(const PackedWeight& weight, const Activations& x, int rows,
                                           void* prepared) const {
  PackedLinearArgs args{};
  args.weight = weight;
  args.order = model_.order;
  args.x = x;
  args.rows = rows;
  args.prepared = prepared;
  return args;
}

PackedLinearArgs KernelRunner::qkv_args(const Layer& layer) const {
  PackedLinearArgs args = linear_args(layer.qkv, attention_input_.get(), batch_.rows, prepared_.data());
  args.result = LinearResult::store;
  args.y = qkv_.get();
  args.y_stride = layer.qkv.outputs;
  return args;
}

PackedLinearArgs KernelRunner::fc1_args(const Layer& layer, const Activations& x) const {
  PackedLinearArgs args = linear_args(layer.fc1, x, batch_.rows, ffn_prepared_.data());
  args.result = LinearResult::gelu;
  args.gelu = model_.spec.activation == D4J_GELU_TANH ? GeluForm::tanh : GeluForm::erf;
  args.activated = activated_.get();
  return args;
}

/// Adds a matmul's results, and the addend, to the residual.
PackedLinearArgs KernelRunner::add_args(const PackedWeight& weight, const Activations& x, void* prepared,
                                        const float* addend) const {
  PackedLinearArgs args = linear_args(weight, x, batch_.rows, prepared);
  args.result = LinearResult::add;
  args.y = residual_.get();
  args.y_stride = model_.spec.hidden_size;
  args.addend = addend;
  return args;
}

/// Of matmuls with equally many rows.
void KernelRunner::prepare_inputs(std::initializer_list<PackedLinearArgs> matmuls) {
  threads_.for_shares(matmuls.begin()->rows, [&](int first, int last, void*) {
    for (const PackedLinearArgs& args : matmuls) {
      model_.linears.prepare(args, first, last);
    }
  });
}

void KernelRunner::run_linear(const PackedLinearArgs& args) {
  prepare_inputs({args});
  threads_.for_blocks(args.weight.blocks(), args.rows,
                      [&](int first, int last, void* scratch) { model_.linears.run(args, first, last, scratch); });
}

/// Two matmuls of equally many rows that do not need each other's results, in one phase: their blocks, which have
/// equally many bytes, one after the other.
void KernelRunner::run_side_by_side(const PackedLinearArgs& a, PackedLinearArgs b) {
  // What is prepared depends on the inputs and the type alone: where both are the same, as with a shared norm, once.
  if (a.x.data == b.x.data && a.weight.type == b.weight.type) {
    prepare_inputs({a});
    b.prepared = a.prepared;
  } else {
    prepare_inputs({a, b});
  }
  const int a_blocks = a.weight.blocks();
  threads_.for_blocks(a_blocks + b.weight.blocks(), a.rows, [&](int first, int last, void* scratch) {
    if (first < a_blocks) {
      model_.linears.run(a, first, std::min(last, a_blocks), scratch);
    }
    if (last > a_blocks) {
      model_.linears.run(b, std::max(first, a_blocks) - a_blocks, last - a_blocks, scratch);
    }
  });
}

/// From Q, K, V to the attended rows.
void KernelRunner::attend(int layer) {
  const RotaryAppendArgs append{
      qkv_.get(), model_.rotary.cosines.data(), model_.rotary.sines.data(), queries_.get(), cache(layer),
      batch_,     row_sequences_.data(),        model_.spec.rotary_dims};
  threads_.for_shares(model_.spec.heads, [&](int first, int last, void*) { model_.append(append, first, last); });
  const CachedAttentionArgs args{queries_.get(), append.cache, attended_.get(), batch_};
  const std::vector<AttentionItem>& items = attention_items_.items();
  threads_.for_each(items.size(), [&](std::size_t i, void* scratch) { model_.attention.run(args, items[i], scratch); });
}

/// x + attention(norm(x)) + ffn(norm(x))
void KernelRunner::parallel_block(int index) {
  const Layer& layer = model_.layers[static_cast<std::size_t>(index)];
  const bool shared_norm = model_.spec.shared_norm != 0;
  normalize(layer.attention_norm, shared_norm ? nullptr : &layer.ffn_norm);
  run_side_by_side(qkv_args(layer), fc1_args(layer, shared_norm ? attention_input_.get() : ffn_input_.get()));
  attend(index);
  PackedLinearArgs dense = linear_args(layer.dense, attended_.get(), batch_.rows, prepared_.data());
  dense.result = LinearResult::store;
  dense.y = attention_output_.get();
  dense.y_stride = model_.spec.hidden_size;
  const PackedLinearArgs fc2 = add_args(layer.fc2, activated_.get(), ffn_prepared_.data(), attention_output_.get());
  prepare_inputs({dense, fc2});
  // Both have the same outputs, so a thread adds what it has computed itself.
  threads_.for_blocks(layer.dense.blocks(), batch_.rows, [&](int first, int last, void* scratch) {
    model_.linears.run(dense, first, last, scratch);
    model_.linears.run(fc2, first, last, scratch);
  });
}

/// y = x + attention(norm(x)), then y + ffn(norm(y))
void KernelRunner::sequential_block(int index) {
  const Layer& layer = model_.layers[static_cast<std::size_t>(index)];
  normalize(layer.attention_norm, nullptr);
  run_linear(qkv_args(layer));
  attend(index);
  run_linear(add_args(layer.dense, attended_.get(), prepared_.data(), nullptr));
  normalize(layer.ffn_norm, nullptr);
  run_linear(fc1_args(layer, attention_input_.get()));
  run_linear(add_args(layer.fc2, activated_.get(), ffn_prepared_.data(), nullptr));
}

/// The final norm of all rows in float32, for those who look at hidden states.
void KernelRunner::show_final_norm(float* target) {
  const int hidden = model_.spec.hidden_size;
  const ActivationMemory normed(batch_.rows, hidden, DType::float32);
  const TiledNormOutput output{model_.final_norm.gamma, model_.final_norm.beta, normed.get()};
  const TiledLayerNormArgs args{
      residual_.get(), nullptr, &output, 1, hidden, static_cast<float>(model_.spec.norm_epsilon)};
  model_.layer_norm(args, 0, batch_.rows);
  for (int row = 0; row < batch_.rows; ++row) {
    for (int i = 0; i < hidden; ++i) {
      *target++ = static_cast<const float*>(normed.get().data)[normed.get().place(row, i)];
    }
  }
}

void KernelRunner::compute_logits(const d4j_step& step) {
  const TiledNormOutput output{model_.final_norm.gamma, model_.final_norm.beta, head_input_.get()};
  const TiledLayerNormArgs norm{residual_.get(),
                                step.logits_rows,
                                &output,
                                1,
                                model_.spec.hidden_size,
                                static_cast<float>(model_.spec.norm_epsilon)};
  threads_.for_shares(step.logits_count, [&](int first, int last, void*) { model_.layer_norm(norm, first, last); });
  PackedLinearArgs head = linear_args(model_.head, head_input_.get(), step.logits_count, prepared_.data());
  head.result = LinearResult::store;
  head.y = step.logits;
  head.y_stride = model_.spec.vocab_size;
  run_linear(head);
}

void KernelRunner::run(const d4j_step& step, const std::atomic<bool>& abort) {
  const FlushDenormals flush;
  const std::int64_t numbers = std::int64_t{step.rows} * model_.spec.hidden_size;
  float* hidden_out = step.hidden;
  const auto show_hidden = [&] {
    if (hidden_out != nullptr) {
      std::memcpy(hidden_out, residual_.get(), static_cast<std::size_t>(numbers) * sizeof(float));
      hidden_out += numbers;
    }
  };
  prepare(step);
  threads_.in_turn([&] { embed(step); });
  show_hidden();
  for (int layer = 0; layer < model_.spec.layers; ++layer) {
    threads_.in_turn([&] {
      if (abort.load(std::memory_order_relaxed)) {
        throw Error(D4J_ABORTED, "the step was aborted");
      }
      if (model_.spec.parallel_residual != 0) {
        parallel_block(layer);
      } else {
        sequential_block(layer);
      }
    });
    show_hidden();
  }
  if (hidden_out != nullptr) {
    show_final_norm(hidden_out);
  }
  if (step.logits_count > 0) {
    threads_.in_turn([&] { compute_logits(step); });
  }
}

void KernelRunner::copy_block(std::int32_t source, std::int32_t target) {
  for (int layer = 0; layer < model_.spec.layers; ++layer) {
    const PackedKvCache at = cache(layer);
    auto* keys = static_cast<std::uint8_t*>(at.keys);
    auto* values = static_cast<std::uint8_t*>(at.values);
    std::memcpy(keys + key_bytes() * target, keys + key_bytes() * source, static_cast<std::size_t>(key_bytes()));
    std::memcpy(values + value_bytes() * target, values + value_bytes() * source,
                static_cast<std::size_t>(value_bytes()));
  }
}

}  // namespace

std::unique_ptr<StepRunner> new_kernel_runner(const KernelModel& model, const d4j_session_options& options) {
  return std::make_unique<KernelRunner>(model, options);
}

}  // namespace dolly4j
