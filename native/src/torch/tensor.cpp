#include "torch/tensor.h"

#include <string>

#include "api/error.h"

namespace dolly4j {
namespace {

std::int32_t dtype_of(TensorType type) {
  const Libtorch& torch = libtorch();
  switch (type) {
    case TensorType::kFloat32:
      return torch.aoti_torch_dtype_float32();
    case TensorType::kBFloat16:
      return torch.aoti_torch_dtype_bfloat16();
    case TensorType::kInt64:
      return torch.aoti_torch_dtype_int64();
    case TensorType::kBool:
      return torch.aoti_torch_dtype_bool();
  }
  throw Error(D4J_INVALID_ARGUMENT, "unknown tensor type");
}

void check(std::int32_t result, const char* what) {
  if (result != 0) {
    throw Error(D4J_BACKEND_FAILED, std::string("libtorch failed to ") + what + "; its message is on standard error");
  }
}

}  // namespace

Sizes contiguous_strides(const Sizes& sizes) {
  Sizes strides(sizes.size());
  std::int64_t stride = 1;
  for (std::size_t i = sizes.size(); i-- > 0;) {
    strides[i] = stride;
    stride *= sizes[i];
  }
  return strides;
}

Tensor::~Tensor() {
  if (handle_ != nullptr) {
    libtorch().aoti_torch_delete_tensor_object(handle_);
  }
}

Tensor Tensor::empty(const Sizes& sizes, TensorType type, TorchDevice device) {
  const Libtorch& torch = libtorch();
  const Sizes strides = contiguous_strides(sizes);
  AtenTensorHandle handle = nullptr;
  check(torch.aoti_torch_empty_strided(
            static_cast<std::int64_t>(sizes.size()), sizes.data(), strides.data(), dtype_of(type),
            device.is_cuda() ? torch.aoti_torch_device_type_cuda() : torch.aoti_torch_device_type_cpu(),
            device.is_cuda() ? device.cuda : 0, &handle),
        "allocate a tensor");
  return Tensor(handle);
}

Tensor Tensor::over(void* data, const Sizes& sizes, TensorType type) {
  const Libtorch& torch = libtorch();
  const Sizes strides = contiguous_strides(sizes);
  AtenTensorHandle handle = nullptr;
  check(torch.aoti_torch_create_tensor_from_blob_v2(
            data, static_cast<std::int64_t>(sizes.size()), sizes.data(), strides.data(), 0, dtype_of(type),
            torch.aoti_torch_device_type_cpu(), 0, &handle, torch.aoti_torch_layout_strided(), nullptr, 0),
        "wrap memory as a tensor");
  return Tensor(handle);
}

Tensor Tensor::copy_of(const void* data, const Sizes& sizes, TensorType type, TorchDevice device) {
  Tensor tensor = empty(sizes, type, device);
  tensor.copy_from(over(const_cast<void*>(data), sizes, type));  // which is only read
  return tensor;
}

Tensor Tensor::share() const {
  AtenTensorHandle handle = nullptr;
  check(libtorch().aoti_torch_new_tensor_handle(handle_, &handle), "share a tensor");
  return Tensor(handle);
}

Tensor Tensor::view(const Sizes& sizes, const Sizes& strides, std::int64_t offset) const {
  AtenTensorHandle handle = nullptr;
  check(libtorch().aoti_torch__reinterpret_tensor(handle_, static_cast<std::int64_t>(sizes.size()), sizes.data(),
                                                  strides.data(), offset, &handle),
        "view a tensor");
  return Tensor(handle);
}

void Tensor::copy_from(const Tensor& source) {
  check(libtorch().aoti_torch_copy_(handle_, source.handle_, /*non_blocking=*/0), "copy a tensor");
}

Tensor Tensor::to(TensorType type) const {
  if (type == this->type()) {
    return share();
  }
  Tensor result = empty(sizes(), type, device());
  result.copy_from(*this);
  return result;
}

void Tensor::fill_zero() { check(libtorch().aoti_torch_zero_(handle_), "clear a tensor"); }

Sizes Tensor::sizes() const {
  std::int64_t dims = 0;
  std::int64_t* sizes = nullptr;
  check(libtorch().aoti_torch_get_dim(handle_, &dims), "count dimensions");
  check(libtorch().aoti_torch_get_sizes(handle_, &sizes), "tell a tensor's sizes");
  return {sizes, sizes + dims};
}

std::int64_t Tensor::size(std::size_t dimension) const {
  std::int64_t* sizes = nullptr;
  check(libtorch().aoti_torch_get_sizes(handle_, &sizes), "tell a tensor's sizes");
  return sizes[dimension];
}

std::int64_t Tensor::stride(std::size_t dimension) const {
  std::int64_t* strides = nullptr;
  check(libtorch().aoti_torch_get_strides(handle_, &strides), "tell a tensor's strides");
  return strides[dimension];
}

TensorType Tensor::type() const {
  std::int32_t dtype = 0;
  check(libtorch().aoti_torch_get_dtype(handle_, &dtype), "tell a tensor's type");
  for (const TensorType type : {TensorType::kFloat32, TensorType::kBFloat16, TensorType::kInt64, TensorType::kBool}) {
    if (dtype_of(type) == dtype) {
      return type;
    }
  }
  throw Error(D4J_BACKEND_FAILED, "libtorch made a tensor of an unexpected type");
}

TorchDevice Tensor::device() const {
  std::int32_t type = 0;
  check(libtorch().aoti_torch_get_device_type(handle_, &type), "tell a tensor's device");
  if (type != libtorch().aoti_torch_device_type_cuda()) {
    return {};
  }
  std::int32_t index = 0;
  check(libtorch().aoti_torch_get_device_index(handle_, &index), "tell a tensor's device");
  return {index};
}

}  // namespace dolly4j
