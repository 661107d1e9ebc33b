// libtorch's stable C shim, taken from a libtorch that is loaded at run time. This library does not link libtorch, and
// no header of it is needed to build: the few functions are declared here.
//
// The declarations follow torch/csrc/inductor/aoti_torch/c/shim.h and torch/csrc/stable/c/shim.h of libtorch 2.10, the
// first that has them all; they are stable by libtorch's promise.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace dolly4j {

struct AtenTensorOpaque;
struct StableListOpaque;
using AtenTensorHandle = AtenTensorOpaque*;
using StableListHandle = StableListOpaque*;
using StableIValue = std::uint64_t;

/// The functions used. All return 0 on success unless they return the value itself.
struct Libtorch {
  std::int32_t (*aoti_torch_device_type_cpu)();
  std::int32_t (*aoti_torch_device_type_cuda)();
  std::int32_t (*aoti_torch_dtype_float32)();
  std::int32_t (*aoti_torch_dtype_bfloat16)();
  std::int32_t (*aoti_torch_dtype_int64)();
  std::int32_t (*aoti_torch_dtype_bool)();
  bool (*aoti_torch_grad_mode_is_enabled)();
  void (*aoti_torch_grad_mode_set_enabled)(bool enabled);
  std::int32_t (*aoti_torch_delete_tensor_object)(AtenTensorHandle);
  std::int32_t (*aoti_torch_new_tensor_handle)(AtenTensorHandle original, AtenTensorHandle* copy);
  std::int32_t (*aoti_torch_get_dim)(AtenTensorHandle, std::int64_t* dims);
  std::int32_t (*aoti_torch_get_sizes)(AtenTensorHandle, std::int64_t** sizes);
  std::int32_t (*aoti_torch_get_strides)(AtenTensorHandle, std::int64_t** strides);
  std::int32_t (*aoti_torch_get_dtype)(AtenTensorHandle, std::int32_t* dtype);
  std::int32_t (*aoti_torch_get_device_type)(AtenTensorHandle, std::int32_t* device_type);
  std::int32_t (*aoti_torch_get_device_index)(AtenTensorHandle, std::int32_t* device_index);
  std::int32_t (*aoti_torch_empty_strided)(std::int64_t dims, const std::int64_t* sizes, const std::int64_t* strides,
                                           std::int32_t dtype, std::int32_t device_type, std::int32_t device_index,
                                           AtenTensorHandle* result);
  std::int32_t (*aoti_torch_create_tensor_from_blob_v2)(void* data, std::int64_t dims, const std::int64_t* sizes,
                                                        const std::int64_t* strides, std::int64_t storage_offset,
                                                        std::int32_t dtype, std::int32_t device_type,
                                                        std::int32_t device_index, AtenTensorHandle* result,
                                                        std::int32_t layout, const std::uint8_t* opaque_metadata,
                                                        std::int64_t opaque_metadata_size);
  std::int32_t (*aoti_torch__reinterpret_tensor)(AtenTensorHandle, std::int64_t dims, const std::int64_t* sizes,
                                                 const std::int64_t* strides, std::int64_t offset_increment,
                                                 AtenTensorHandle* result);
  std::int32_t (*aoti_torch_copy_)(AtenTensorHandle target, AtenTensorHandle source, std::int32_t non_blocking);
  std::int32_t (*aoti_torch_zero_)(AtenTensorHandle);
  std::int32_t (*aoti_torch_layout_strided)();
  std::int32_t (*aoti_torch_cpu_add_Tensor)(AtenTensorHandle, AtenTensorHandle, double alpha, AtenTensorHandle* result);
  std::int32_t (*aoti_torch_cpu_add_Scalar)(AtenTensorHandle, double addend, double alpha, AtenTensorHandle* result);
  std::int32_t (*aoti_torch_cpu_mul_Scalar)(AtenTensorHandle, double factor, AtenTensorHandle* result);
  std::int32_t (*torch_call_dispatcher)(const char* op, const char* overload, StableIValue* stack,
                                        std::uint64_t version);
  std::int32_t (*torch_new_list_reserve_size)(std::size_t size, StableListHandle*);
  std::int32_t (*torch_list_push_back)(StableListHandle, StableIValue);
  std::int32_t (*torch_get_num_threads)(std::uint32_t*);

  // Null where libtorch has no CUDA. The CPU's and these take factors as numbers; the dispatcher's shim cannot convert
  // a Scalar.
  std::int32_t (*aoti_torch_cuda_add_Tensor)(AtenTensorHandle, AtenTensorHandle, double alpha,
                                             AtenTensorHandle* result);
  std::int32_t (*aoti_torch_cuda_add_Scalar)(AtenTensorHandle, double addend, double alpha, AtenTensorHandle* result);
  std::int32_t (*aoti_torch_cuda_mul_Scalar)(AtenTensorHandle, double factor, AtenTensorHandle* result);

  /// Path of the attached libtorch_cpu.so.
  std::string source;

  /// Number of CUDA devices the attached libtorch sees; 0 without CUDA.
  int cuda_devices = 0;

  /// Why it sees none, if so.
  std::string cuda_missing;
};

/// Version of the shim that the calls are written for, as torch_call_dispatcher takes it.
constexpr std::uint64_t kShimVersion = (std::uint64_t{2} << 56) | (std::uint64_t{10} << 48);

/// Turns the recording of gradients off for this thread, and back to what it was at the end of the scope.
class NoGrad {
 public:
  NoGrad();
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;
  ~NoGrad();

 private:
  bool before_;
};

/// Sets the number of threads libtorch starts with, unless OMP_NUM_THREADS is set or libtorch is attached already.
void set_libtorch_threads(int threads);

/// Attaches the loaded libtorch (empty directory) or the one in a directory; see d4j_libtorch_attach.
void attach_libtorch(const std::string& directory);

/// The attached libtorch, or null.
const Libtorch* attached_libtorch();

/// The attached libtorch; throws D4J_BACKEND_MISSING before attach_libtorch.
const Libtorch& libtorch();

}  // namespace dolly4j
