#include "ops/residual_add.h"

namespace dolly4j {

void residual_add_oracle(const ResidualAddArgs& args) {
  for (std::int64_t i = 0; i < args.count; i++) {
    args.h[i] += args.b == nullptr ? args.a[i] : args.a[i] + args.b[i];
  }
}

}  // namespace dolly4j
