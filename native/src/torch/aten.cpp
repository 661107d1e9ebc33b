#include "torch/aten.h"

#include <cstring>
#include <initializer_list>
#include <string>
#include <vector>

#include "api/error.h"

namespace dolly4j::aten {
namespace {

[[noreturn]] void fail(const std::string& op) {
  throw Error(D4J_BACKEND_FAILED, "libtorch failed in " + op + "; its message is on standard error");
}

// StableIValue holds a value bit for bit in its low bytes; the dispatcher takes over the handles it is given.
template <typename T>
StableIValue bits(T value) {
  static_assert(sizeof(T) <= sizeof(StableIValue));
  StableIValue result = 0;
  std::memcpy(&result, &value, sizeof(T));
  return result;
}

StableIValue tensor(const Tensor& x) {
  AtenTensorHandle handle = nullptr;
  if (libtorch().aoti_torch_new_tensor_handle(x.handle(), &handle) != 0) {
    fail("sharing a tensor");
  }
  return bits(handle);
}

/// Tensor?: null, or a pointer to a heap value that the dispatcher deletes.
StableIValue optional_tensor(const Tensor& x) {
  return x.defined() ? bits(new StableIValue(tensor(x))) : bits(nullptr);
}

StableIValue none() { return bits(nullptr); }

StableIValue int_list(std::initializer_list<std::int64_t> values) {
  StableListHandle list = nullptr;
  if (libtorch().torch_new_list_reserve_size(values.size(), &list) != 0) {
    fail("making a list");
  }
  for (const std::int64_t value : values) {
    if (libtorch().torch_list_push_back(list, bits(value)) != 0) {
      fail("making a list");
    }
  }
  return bits(list);
}

/// Calls an op with one tensor as its result.
template <std::size_t N>
Tensor call(const char* op, const char* overload, StableIValue (&&stack)[N]) {
  if (libtorch().torch_call_dispatcher(op, overload, stack, kShimVersion) != 0) {
    fail(op);
  }
  AtenTensorHandle handle = nullptr;
  std::memcpy(&handle, &stack[0], sizeof(handle));
  return Tensor(handle);
}

}  // namespace

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  return call("aten::linear", "", {tensor(x), tensor(weight), optional_tensor(bias)});
}

Tensor layer_norm(const Tensor& x, std::int64_t size, const Tensor& weight, const Tensor& bias, double epsilon) {
  return call(
      "aten::layer_norm", "",
      {tensor(x), int_list({size}), optional_tensor(weight), optional_tensor(bias), bits(epsilon), bits(false)});
}

Tensor erf(const Tensor& x) { return call("aten::erf", "", {tensor(x)}); }

Tensor tanh(const Tensor& x) { return call("aten::tanh", "", {tensor(x)}); }

Tensor mul(const Tensor& a, const Tensor& b) { return call("aten::mul", "Tensor", {tensor(a), tensor(b)}); }

Tensor mul(const Tensor& a, double b) {
  const Libtorch& torch = libtorch();
  AtenTensorHandle result = nullptr;
  const auto mul_scalar = a.device().is_cuda() ? torch.aoti_torch_cuda_mul_Scalar : torch.aoti_torch_cpu_mul_Scalar;
  if (mul_scalar(a.handle(), b, &result) != 0) {
    fail("aten::mul");
  }
  return Tensor(result);
}

Tensor add(const Tensor& a, const Tensor& b, double factor) {
  const Libtorch& torch = libtorch();
  AtenTensorHandle result = nullptr;
  const auto add_tensor = a.device().is_cuda() ? torch.aoti_torch_cuda_add_Tensor : torch.aoti_torch_cpu_add_Tensor;
  if (add_tensor(a.handle(), b.handle(), factor, &result) != 0) {
    fail("aten::add");
  }
  return Tensor(result);
}

Tensor add(const Tensor& a, double b) {
  const Libtorch& torch = libtorch();
  AtenTensorHandle result = nullptr;
  const auto add_scalar = a.device().is_cuda() ? torch.aoti_torch_cuda_add_Scalar : torch.aoti_torch_cpu_add_Scalar;
  if (add_scalar(a.handle(), b, /*alpha=*/1.0, &result) != 0) {
    fail("aten::add");
  }
  return Tensor(result);
}

Tensor index_select(const Tensor& x, std::int64_t dimension, const Tensor& index) {
  return call("aten::index_select", "", {tensor(x), bits(dimension), tensor(index)});
}

void index_copy(Tensor& target, const Tensor& index, const Tensor& source) {
  call("aten::index_copy_", "", {tensor(target), bits(std::int64_t{0}), tensor(index), tensor(source)});
}

Tensor scaled_dot_product_attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask,
                                    bool causal) {
  return call("aten::scaled_dot_product_attention", "",
              {tensor(q), tensor(k), tensor(v), optional_tensor(mask), bits(0.0), bits(causal), none(), bits(false)});
}

}  // namespace dolly4j::aten
