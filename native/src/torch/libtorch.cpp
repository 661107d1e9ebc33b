#include "torch/libtorch.h"

#include <dlfcn.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <mutex>

#include "api/error.h"

namespace dolly4j {
namespace {

std::mutex attach_mutex;
std::atomic<const Libtorch*> attached{nullptr};

std::string dl_message() {
  const char* message = dlerror();
  return message == nullptr ? "unknown reason" : message;
}

/// Loads a library for the whole process, or finds it where it is loaded already. Null if there is none, and why.
void* open_library(const std::string& directory, const char* name, std::string& failure) {
  if (!directory.empty()) {
    void* handle = dlopen((directory + "/" + name).c_str(), RTLD_NOW | RTLD_GLOBAL);
    failure = handle == nullptr ? dl_message() : "";
    return handle;
  }
  void* handle = dlopen(name, RTLD_NOW | RTLD_NOLOAD);
  failure = handle == nullptr ? std::string(name) + " is not loaded in this process" : "";
  return handle;
}

template <typename Function>
void take(void* library, const std::string& source, const char* name, Function*& function) {
  function = reinterpret_cast<Function*>(dlsym(library, name));
  if (function == nullptr) {
    throw Error(D4J_BACKEND_MISSING, source + " lacks the function " + name + "; dolly4j needs libtorch 2.10 or later");
  }
}

std::string library_file(void* symbol) {
  Dl_info info{};
  return dladdr(symbol, &info) != 0 && info.dli_fname != nullptr ? info.dli_fname : "libtorch_cpu.so";
}

/// 0 and the reason if there are none.
int count_cuda_devices(void* cuda_library, std::string& failure) {
  // torch::cuda::device_count has no C name; the CUDA runtime that libtorch_cuda brings along has.
  using GetDeviceCount = int (*)(int*);
  auto get_device_count = reinterpret_cast<GetDeviceCount>(dlsym(cuda_library, "cudaGetDeviceCount"));
  if (get_device_count == nullptr) {
    failure = "libtorch_cuda.so brings no CUDA runtime along";
    return 0;
  }
  int count = 0;
  const int error = get_device_count(&count);
  if (error != 0) {
    failure = "cudaGetDeviceCount gives the error " + std::to_string(error);
    return 0;
  }
  return count;
}

}  // namespace

NoGrad::NoGrad() : before_(libtorch().aoti_torch_grad_mode_is_enabled()) {
  libtorch().aoti_torch_grad_mode_set_enabled(false);
}

NoGrad::~NoGrad() { libtorch().aoti_torch_grad_mode_set_enabled(before_); }

void set_libtorch_threads(int threads) {
  require(threads >= 1 && threads <= 4096, [&] { return range_message("threads", threads, 1, 4096); });
  const std::lock_guard<std::mutex> lock(attach_mutex);
  if (attached.load() == nullptr) {
    setenv("OMP_NUM_THREADS", std::to_string(threads).c_str(), /*overwrite=*/0);
    // Threads that wait for the next op spin for some 50 us, not for milliseconds: on a machine that does other work
    // too the default costs far more than a wake-up does.
    setenv("GOMP_SPINCOUNT", "20000", /*overwrite=*/0);
  }
}

void attach_libtorch(const std::string& directory) {
  const std::lock_guard<std::mutex> lock(attach_mutex);
  if (attached.load() != nullptr) {
    return;
  }
  std::string failure;
  void* cpu = open_library(directory, "libtorch_cpu.so", failure);
  if (cpu == nullptr) {
    throw Error(D4J_BACKEND_MISSING,
                (directory.empty() ? "no libtorch: " : "cannot load libtorch from " + directory + ": ") + failure);
  }
  auto table = std::make_unique<Libtorch>();
  table->source = directory.empty() ? "libtorch_cpu.so" : directory + "/libtorch_cpu.so";

#define D4J_TAKE(name) take(cpu, table->source, #name, table->name)
  D4J_TAKE(aoti_torch_device_type_cpu);
  table->source = library_file(reinterpret_cast<void*>(table->aoti_torch_device_type_cpu));
  D4J_TAKE(aoti_torch_device_type_cuda);
  D4J_TAKE(aoti_torch_dtype_float32);
  D4J_TAKE(aoti_torch_dtype_bfloat16);
  D4J_TAKE(aoti_torch_dtype_int64);
  D4J_TAKE(aoti_torch_dtype_bool);
  D4J_TAKE(aoti_torch_grad_mode_is_enabled);
  D4J_TAKE(aoti_torch_grad_mode_set_enabled);
  D4J_TAKE(aoti_torch_delete_tensor_object);
  D4J_TAKE(aoti_torch_new_tensor_handle);
  D4J_TAKE(aoti_torch_get_dim);
  D4J_TAKE(aoti_torch_get_sizes);
  D4J_TAKE(aoti_torch_get_strides);
  D4J_TAKE(aoti_torch_get_dtype);
  D4J_TAKE(aoti_torch_get_device_type);
  D4J_TAKE(aoti_torch_get_device_index);
  D4J_TAKE(aoti_torch_empty_strided);
  D4J_TAKE(aoti_torch_create_tensor_from_blob_v2);
  D4J_TAKE(aoti_torch__reinterpret_tensor);
  D4J_TAKE(aoti_torch_copy_);
  D4J_TAKE(aoti_torch_zero_);
  D4J_TAKE(aoti_torch_layout_strided);
  D4J_TAKE(aoti_torch_cpu_add_Tensor);
  D4J_TAKE(aoti_torch_cpu_add_Scalar);
  D4J_TAKE(aoti_torch_cpu_mul_Scalar);
  D4J_TAKE(torch_call_dispatcher);
  D4J_TAKE(torch_new_list_reserve_size);
  D4J_TAKE(torch_list_push_back);
  D4J_TAKE(torch_get_num_threads);
#undef D4J_TAKE

  if (void* cuda = open_library(directory, "libtorch_cuda.so", table->cuda_missing)) {
#define D4J_TAKE(name) take(cuda, "libtorch_cuda.so", #name, table->name)
    D4J_TAKE(aoti_torch_cuda_add_Tensor);
    D4J_TAKE(aoti_torch_cuda_add_Scalar);
    D4J_TAKE(aoti_torch_cuda_mul_Scalar);
#undef D4J_TAKE
    table->cuda_devices = count_cuda_devices(cuda, table->cuda_missing);
  }
  attached.store(table.release());  // for the life of the process: libtorch cannot be unloaded
}

const Libtorch* attached_libtorch() { return attached.load(); }

const Libtorch& libtorch() {
  const Libtorch* table = attached.load();
  if (table == nullptr) {
    throw Error(D4J_BACKEND_MISSING, "libtorch is not attached; call d4j_libtorch_attach first");
  }
  return *table;
}

}  // namespace dolly4j
