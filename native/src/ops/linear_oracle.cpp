#include "ops/linear.h"

namespace dolly4j {

void linear_oracle(const LinearArgs& args) {
  const std::int64_t inputs = args.inputs;
  const std::int64_t outputs = args.outputs;
  for (int t = 0; t < args.rows; t++) {
    for (int n = 0; n < args.outputs; n++) {
      double sum = 0;
      for (int k = 0; k < args.inputs; k++) {
        sum += static_cast<double>(args.x.at(t * inputs + k)) * static_cast<double>(args.weight.at(n * inputs + k));
      }
      if (args.bias != nullptr) {
        sum += args.bias[n];
      }
      args.y.set(t * outputs + n, static_cast<float>(sum));
    }
  }
}

}  // namespace dolly4j
