// An owning handle of a libtorch tensor.
#pragma once

#include <cstdint>
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

/// A tensor of libtorch, or none ("undefined"). Moves only; share() and the views have the same elements.
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

  /// A copy, on a device, of contiguous CPU memory.
  static Tensor copy_of(const void* data, const Sizes& sizes, TensorType type, TorchDevice device);

  /// Another handle of the same tensor.
  Tensor share() const;

  /// A view with sizes and strides of its own, that begins so many elements after this tensor's first.
  Tensor view(const Sizes& sizes, const Sizes& strides, std::int64_t offset = 0) const;

  /// Copies the elements of a tensor of the same sizes, converting type and device.
  void copy_from(const Tensor& source);

  /// The same elements in that type: this tensor if it has it already, else a contiguous copy.
  Tensor to(TensorType type) const;

  void fill_zero();

  bool defined() const { return handle_ != nullptr; }
  AtenTensorHandle handle() const { return handle_; }
  Sizes sizes() const;
  std::int64_t size(std::size_t dimension) const;
  std::int64_t stride(std::size_t dimension) const;
  TensorType type() const;
  TorchDevice device() const;

 private:
  AtenTensorHandle handle_ = nullptr;
};

/// Strides of a contiguous tensor.
Sizes contiguous_strides(const Sizes& sizes);

}  // namespace dolly4j
