#include <cmath>

#include "ops/rotary.h"

namespace dolly4j {

std::vector<float> rotary_inverse_frequencies(int rotary_dims, double base) {
  std::vector<float> frequencies;
  for (int i = 0; i < rotary_dims; i += 2) {
    const float exponent = static_cast<float>(i) / static_cast<float>(rotary_dims);
    const auto power = static_cast<float>(std::pow(base, static_cast<double>(exponent)));
    frequencies.push_back(1.0F / power);
  }
  return frequencies;
}

}  // namespace dolly4j
