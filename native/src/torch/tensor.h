// An owning handle of a libtorch tensor.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <utility>
#include <vector>

#include "torch/libtorch.h"

namespace dolly4j {

/// Element types in use.
enum class TensorType { kFloat32, kBFloat16, kInt64, kBool };

/// Where tensors live: the CPU, or a CUDA device.
struct TorchDevice {
  int cuda = -1;  // ordinal, or -1 for the CPU

  bool is_cuda() const { return cuda >= 0; }
};

using Sizes = std::vector<std::int64_t>;

/// A tensor of libtorch. Copies share the elements, as in libtorch.
class Tensor {
 public:
  Tensor() = default;
  explicit Tensor(AtenTensorHandle handle) : handle_(handle) {}
  Tensor(Tensor&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Tensor& operator=(Tensor&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  Tensor(const Tensor&) = delete;
  Tensor& operator=(const Tensor&) = delete;
  ~Tensor();

  /// Uninitialised, contiguous.
  static Tensor empty(const Sizes& sizes, TensorType type, TorchDevice device);

  /// Over contiguous CPU memory that the caller keeps alive.
  static Tensor over(void* data, const Sizes& sizes, TensorType type);

  /// Another handle of the same tensor.
  Tensor share() const;

  /// A view with sizes, strides and offset of its own, in elements of the storage.
  Tensor view(const Sizes& sizes, const Sizes& strides, std::int64_t offset) const;

  /// A contiguous view of a contiguous tensor, from an element on.
  Tensor view(const Sizes& sizes, std::int64_t offset = 0) const;

  /// Copies the elements of a tensor of the same sizes, converting type and device.
  void copy_from(const Tensor& source);

  /// A tensor of that type and device with the same elements; shares them if nothing changes.
  Tensor to(const Sizes& sizes, TensorType from, TensorType to, TorchDevice device) const;

  void fill_zero();

  bool defined() const { return handle_ != nullptr; }
  AtenTensorHandle handle() const { return handle_; }

 private:
  AtenTensorHandle handle_ = nullptr;
};

/// Strides of a contiguous tensor.
Sizes contiguous_strides(const Sizes& sizes);

}  // namespace dolly4j
