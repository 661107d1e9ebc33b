#include <cmath>

#include "ops/gelu.h"

namespace dolly4j {
namespace {

double gelu_erf(double x) {
  // 1 + erf(z) = erfc(-z), which keeps its digits where erf is near -1.
  return x / 2 * std::erfc(-x / std::sqrt(2.0));
}

double gelu_tanh(double x) {
  const double pi = std::acos(-1.0);
  return x / 2 * (1 + std::tanh(std::sqrt(2 / pi) * (x + 0.044715 * x * x * x)));
}

}  // namespace

void gelu_oracle(const GeluArgs& args) {
  for (std::int64_t i = 0; i < args.count; i++) {
    const double x = args.x[i];
    args.y.set(i, static_cast<float>(args.form == GeluForm::erf ? gelu_erf(x) : gelu_tanh(x)));
  }
}

}  // namespace dolly4j
