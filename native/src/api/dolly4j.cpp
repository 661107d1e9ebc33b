// The C entry points: argument checks, the one try/catch, the last error. What they do is done elsewhere.
#include "dolly4j.h"

#include <atomic>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "api/error.h"
#include "cpu/available_memory.h"
#include "cpu/cores.h"
#include "cpu/isa.h"
#include "cpu/thread_pool.h"
#include "model/kernel_decoder.h"
#include "model/libtorch_decoder.h"
#include "model/memory_check.h"
#include "model/packed_file.h"
#include "model/slots.h"
#include "model/step.h"
#include "model/weights.h"
#include "torch/libtorch.h"

struct d4j_model {
  d4j_decoder_spec spec;
  d4j_model_options options;
  std::shared_ptr<dolly4j::Weights> weights;  // until finished
  std::unique_ptr<dolly4j::Decoder> decoder;  // once finished
  std::int64_t weight_bytes;
  bool is_mapped;  // the weights are page cache
};

struct d4j_session {
  const d4j_model* model;
  d4j_session_options options;
  std::unique_ptr<dolly4j::StepRunner> runner;
  std::atomic<bool> abort{false};
};

namespace {

using dolly4j::check_memory;
using dolly4j::Error;
using dolly4j::require;

// clang names itself in its version, g++ does not.
#if defined(__clang__)
constexpr const char* kCompiler = __VERSION__;
#else
constexpr const char* kCompiler = "g++ " __VERSION__;
#endif

thread_local std::string last_error;

d4j_status report(d4j_status status, const char* message) noexcept {
  try {
    last_error = message;
  } catch (...) {
    last_error.clear();
  }
  return status;
}

/// Runs a function and turns what it throws into a status.
template <typename Function>
d4j_status guard(Function&& function) noexcept {
  try {
    function();
    return D4J_OK;
  } catch (const Error& error) {
    return report(error.status(), error.what());
  } catch (const std::bad_alloc&) {
    return report(D4J_OUT_OF_MEMORY, "out of memory");
  } catch (const std::exception& error) {
    return report(D4J_BACKEND_FAILED, error.what());
  } catch (...) {
    return report(D4J_BACKEND_FAILED, "unknown failure in native code");
  }
}

void require_range(const char* name, std::int64_t value, std::int64_t low, std::int64_t high) {
  require(value >= low && value <= high, [&] { return dolly4j::range_message(name, value, low, high); });
}

constexpr std::int32_t kMostBlocks = 1 << 26;

d4j_dtype weight_type(const d4j_model_options& options) { return static_cast<d4j_dtype>(options.weight_type); }

d4j_dtype kv_type(const d4j_model_options& options) { return static_cast<d4j_dtype>(options.kv_type); }

bool on_kernels(const d4j_model_options& options) { return options.backend == D4J_BACKEND_KERNELS; }

dolly4j::WeightLayout layout_of(const d4j_model_options& options) {
  return on_kernels(options) ? dolly4j::WeightLayout::packed : dolly4j::WeightLayout::row_major;
}

void check_options(const d4j_model_options& options) {
  require_range("backend", options.backend, D4J_BACKEND_LIBTORCH, D4J_BACKEND_KERNELS);
  require(options.weight_type != D4J_FLOAT16, "weight_type must not be float16");
  require_range("weight_type", options.weight_type, D4J_FLOAT32, on_kernels(options) ? D4J_INT4 : D4J_BFLOAT16);
  require_range("kv_type", options.kv_type, D4J_FLOAT32, D4J_BFLOAT16);
  require_range("cuda_device", options.cuda_device, -1, 1023);
  if (on_kernels(options)) {
    require(options.cuda_device < 0, "the kernels run on the CPU; cuda_device must be -1");
    require_range("threads", options.threads, 1, 4096);
    require_range("portable_bits", options.portable_bits, 0, 1);
    dolly4j::chosen_isa();
  }
}

void check_packed_file(const d4j_model_options& options, const char* key) {
  require(on_kernels(options), "only weights of the kernels are packed, and can be mapped from a file");
  require(std::strlen(key) == dolly4j::kPackedKeyLength, [&] {
    return "key must have " + std::to_string(dolly4j::kPackedKeyLength) + " characters, not '" + key + "'";
  });
}

std::int64_t block_bytes(const d4j_model& model) {
  if (on_kernels(model.options)) {
    return dolly4j::kernel_block_bytes(model.spec, kv_type(model.options));
  }
  const std::int64_t element = kv_type(model.options) == D4J_FLOAT32 ? 4 : 2;
  return std::int64_t{2} * model.spec.layers * D4J_BLOCK_SIZE * model.spec.hidden_size * element;
}

/// Bytes of a KV cache in the memory of the machine.
std::int64_t host_cache_bytes(const d4j_model& model, std::int32_t blocks) {
  return model.options.cuda_device < 0 ? blocks * block_bytes(model) : 0;
}

}  // namespace

const char* d4j_last_error(void) { return last_error.c_str(); }

d4j_status d4j_get_build_info(d4j_build_info* info) {
  return guard([&] {
    require(info != nullptr, "info is needed");
    *info = d4j_build_info{};
    info->version = DOLLY4J_VERSION;
    info->compiler = kCompiler;
    info->libtorch_source = "";
    info->cpu_isa = dolly4j::name_of(dolly4j::chosen_isa());
    info->packed_version = static_cast<std::int32_t>(dolly4j::kPackedVersion);
    info->cpu_cores = dolly4j::core_count();
    if (const dolly4j::Libtorch* torch = dolly4j::attached_libtorch()) {
      std::uint32_t threads = 0;
      torch->torch_get_num_threads(&threads);
      info->libtorch_attached = 1;
      info->libtorch_threads = static_cast<std::int32_t>(threads);
      info->cuda_device_count = torch->cuda_devices;
      info->libtorch_source = torch->source.c_str();
    }
  });
}

d4j_status d4j_libtorch_set_threads(int32_t threads) {
  return guard([&] { dolly4j::set_libtorch_threads(threads); });
}

d4j_status d4j_bind_threads(void) {
  return guard([] { dolly4j::ThreadPool::shared().bind_threads(); });
}

d4j_status d4j_libtorch_attach(const char* directory) {
  return guard([&] { dolly4j::attach_libtorch(directory == nullptr ? "" : directory); });
}

d4j_status d4j_model_create(const d4j_decoder_spec* spec, const d4j_model_options* options, d4j_model** model) {
  return guard([&] {
    require(spec != nullptr && options != nullptr && model != nullptr, "spec, options and model are needed");
    *model = nullptr;
    dolly4j::check_spec(*spec);
    check_options(*options);
    const d4j_dtype type = weight_type(*options);
    const dolly4j::WeightLayout layout = layout_of(*options);
    const std::int64_t bytes = dolly4j::weight_bytes(*spec, type, layout);
    check_memory({bytes, 0, type, kv_type(*options)}, dolly4j::available_memory());
    auto weights = std::make_shared<dolly4j::Weights>(*spec, type, layout);
    *model = new d4j_model{*spec, *options, std::move(weights), nullptr, bytes, false};
  });
}

d4j_status d4j_model_map(const d4j_decoder_spec* spec, const d4j_model_options* options, const char* path,
                         const char* key, d4j_model** model) {
  return guard([&] {
    require(spec != nullptr && options != nullptr && path != nullptr && key != nullptr && model != nullptr,
            "spec, options, path, key and model are needed");
    *model = nullptr;
    dolly4j::check_spec(*spec);
    check_options(*options);
    check_packed_file(*options, key);
    const d4j_dtype type = weight_type(*options);
    const dolly4j::WeightLayout layout = layout_of(*options);
    const std::vector<dolly4j::SlotMatrix> matrices = dolly4j::weight_matrices(*spec, type, layout);
    std::vector<dolly4j::AlignedMemory> memory(matrices.size());
    dolly4j::map_packed_file(path, key, matrices, options->threads,
                             [&](std::size_t i, dolly4j::AlignedMemory mapped) { memory[i] = std::move(mapped); });
    auto weights = std::make_shared<dolly4j::Weights>(*spec, type, layout, std::move(memory));
    *model =
        new d4j_model{*spec, *options, std::move(weights), nullptr, dolly4j::weight_bytes(*spec, type, layout), true};
  });
}

d4j_status d4j_model_check_memory(const d4j_model* model, int32_t blocks) {
  return guard([&] {
    require(model != nullptr, "model is needed");
    require_range("blocks", blocks, 0, kMostBlocks);
    const std::int64_t weight_bytes = model->is_mapped ? 0 : model->weight_bytes;
    check_memory({weight_bytes, host_cache_bytes(*model, blocks), weight_type(model->options), kv_type(model->options)},
                 dolly4j::available_memory());
  });
}

d4j_status d4j_model_observe_rows(d4j_model* model, const d4j_rows* rows) {
  return guard([&] {
    require(model != nullptr && rows != nullptr, "model and rows are needed");
    require(model->weights != nullptr, "the model is finished already");
    model->weights->observe(*rows);
  });
}

d4j_status d4j_model_load_rows(d4j_model* model, const d4j_rows* rows) {
  return guard([&] {
    require(model != nullptr && rows != nullptr, "model and rows are needed");
    require(model->weights != nullptr, "the model is finished already");
    model->weights->load(*rows);
  });
}

d4j_status d4j_model_save(d4j_model* model, const char* path, const char* key, const char* description) {
  return guard([&] {
    require(model != nullptr && path != nullptr && key != nullptr && description != nullptr,
            "model, path, key and description are needed");
    check_packed_file(model->options, key);
    require(std::strlen(description) <= dolly4j::kMostDescriptionBytes, "the description is too long");
    require(model->weights != nullptr, "the model is finished already");
    require(!model->is_mapped, "the weights are mapped from a file already");
    model->weights->check_complete();
    const std::vector<dolly4j::SlotMatrix> matrices =
        dolly4j::weight_matrices(model->spec, weight_type(model->options), layout_of(model->options));
    dolly4j::write_packed_file(path, key, description, matrices, *model->weights);
    model->is_mapped = true;  // in part at least: the file must not be written again
    // One after the other, so that this process never needs much more memory than for the weights once.
    dolly4j::map_packed_file(path, key, matrices, model->options.threads,
                             [&](std::size_t i, dolly4j::AlignedMemory mapped) {
                               model->weights->move(matrices[i].slot, matrices[i].layer, std::move(mapped));
                             });
  });
}

d4j_status d4j_model_finish(d4j_model* model) {
  return guard([&] {
    require(model != nullptr, "model is needed");
    require(model->weights != nullptr, "the model is finished already");
    model->weights->check_complete();
    model->decoder = on_kernels(model->options)
                         ? dolly4j::new_kernel_decoder(model->spec, model->options, model->weights)
                         : dolly4j::new_libtorch_decoder(model->spec, model->options, model->weights);
    model->weights.reset();
  });
}

d4j_status d4j_model_memory(const d4j_model* model, d4j_memory* memory) {
  return guard([&] {
    require(model != nullptr && memory != nullptr, "model and memory are needed");
    *memory = {model->weight_bytes, block_bytes(*model), dolly4j::available_memory()};
  });
}

void d4j_model_free(d4j_model* model) { delete model; }

d4j_status d4j_session_create(d4j_model* model, const d4j_session_options* options, d4j_session** session) {
  return guard([&] {
    require(model != nullptr && options != nullptr && session != nullptr, "model, options and session are needed");
    *session = nullptr;
    require(model->decoder != nullptr, "d4j_model_finish must come before sessions");
    require_range("blocks", options->blocks, 1, kMostBlocks);
    require_range("max_rows", options->max_rows, 1, 1 << 24);
    require_range("max_logits_rows", options->max_logits_rows, 0, options->max_rows);
    check_memory({0, host_cache_bytes(*model, options->blocks), weight_type(model->options), kv_type(model->options)},
                 dolly4j::available_memory());
    auto runner = model->decoder->new_runner(*options);
    *session = new d4j_session{model, *options, std::move(runner)};
  });
}

d4j_status d4j_session_step(d4j_session* session, const d4j_step* step) {
  return guard([&] {
    require(session != nullptr && step != nullptr, "session and step are needed");
    dolly4j::check_step(session->model->spec, session->options, *step);
    try {
      session->runner->run(*step, session->abort);
    } catch (const Error& error) {
      if (error.status() == D4J_ABORTED) {
        session->abort.store(false);
      }
      throw;
    }
  });
}

d4j_status d4j_session_copy_block(d4j_session* session, int32_t source, int32_t target) {
  return guard([&] {
    require(session != nullptr, "session is needed");
    require_range("source block", source, 0, session->options.blocks - 1);
    require_range("target block", target, 0, session->options.blocks - 1);
    if (source != target) {
      session->runner->copy_block(source, target);
    }
  });
}

void d4j_session_abort(d4j_session* session) {
  if (session != nullptr) {
    session->abort.store(true);
  }
}

void d4j_session_free(d4j_session* session) { delete session; }
