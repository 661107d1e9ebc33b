#include "model/smoothing.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "api/error.h"
#include "model/slots.h"

namespace dolly4j {
namespace {

enum class Part { none, gain, bias, matrix };

Part part_of(d4j_slot slot) {
  switch (slot) {
    case D4J_ATTENTION_NORM_WEIGHT:
    case D4J_FFN_NORM_WEIGHT:
      return Part::gain;
    case D4J_ATTENTION_NORM_BIAS:
    case D4J_FFN_NORM_BIAS:
      return Part::bias;
    case D4J_QKV_WEIGHT:
    case D4J_FC1_WEIGHT:
      return Part::matrix;
    default:
      return Part::none;
  }
}

// Of a channel 4,096 times as large in proportion as the others. Not all rows are observed, so a column may hold
// larger weights than are known: what they can do to their rows is limited as well.
constexpr int kMostExponent = 6;

/// The power of two nearest to sqrt(ratio) by its logarithm; from the exponent alone, so the same on every machine.
float nearest_root(float ratio) {
  const int exponent = static_cast<int>(std::floor(0.5 * (std::ilogb(ratio) + 1)));
  return std::ldexp(1.0F, std::clamp(exponent, -kMostExponent, kMostExponent));
}

std::vector<float> factors_of(const std::vector<float>& gain, const std::vector<float>& bias,
                              const std::vector<float>& largest) {
  std::vector<float> factors(gain.size(), 1.0F);
  std::vector<float> ratios(gain.size(), 0.0F);
  std::vector<float> sorted;
  for (std::size_t j = 0; j < gain.size(); ++j) {
    const float size = std::sqrt(gain[j] * gain[j] + bias[j] * bias[j]);
    const float ratio = size / largest[j];
    if (std::isnormal(ratio)) {
      ratios[j] = ratio;
      sorted.push_back(ratio);
    }
  }
  if (sorted.empty()) {
    return factors;
  }
  const auto median = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
  std::nth_element(sorted.begin(), median, sorted.end());
  for (std::size_t j = 0; j < ratios.size(); ++j) {
    const float relative = ratios[j] / *median;
    if (std::isnormal(relative)) {
      factors[j] = nearest_root(relative);
    }
  }
  return factors;
}

}  // namespace

Smoothing::Smoothing(const d4j_decoder_spec& spec)
    : hidden_size_(spec.hidden_size),
      layers_(spec.layers),
      shared_norm_(spec.shared_norm != 0),
      groups_(static_cast<std::size_t>(2 * layers_)) {}

bool Smoothing::concerns(d4j_slot slot) { return part_of(slot) != Part::none; }

Smoothing::Group& Smoothing::group_of(d4j_slot slot, int layer) {
  const bool is_attention =
      slot == D4J_ATTENTION_NORM_WEIGHT || slot == D4J_ATTENTION_NORM_BIAS || slot == D4J_QKV_WEIGHT;
  return groups_[static_cast<std::size_t>(is_attention || shared_norm_ ? layer : layers_ + layer)];
}

void Smoothing::observe(d4j_slot slot, int layer, std::int64_t first, std::int64_t count, const float* values) {
  const Part part = part_of(slot);
  const auto size = static_cast<std::size_t>(hidden_size_);
  std::vector<float> largest;
  if (part == Part::matrix) {
    largest.assign(size, 0.0F);
    for (std::int64_t row = 0; row < count; ++row) {
      for (std::size_t j = 0; j < size; ++j) {
        largest[j] = std::max(largest[j], std::fabs(values[static_cast<std::size_t>(row) * size + j]));
      }
    }
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  Group& group = group_of(slot, layer);
  if (!group.factors.empty()) {
    throw Error(D4J_INVALID_ARGUMENT, std::string(slot_name(slot)) + " of layer " + std::to_string(layer) +
                                          " is observed after rows of its norm or of a matrix behind it were loaded");
  }
  if (group.gain.empty()) {
    group.gain.assign(size, 0.0F);
    group.bias.assign(size, 0.0F);
    group.largest.assign(size, 0.0F);
  }
  if (part == Part::matrix) {
    std::transform(largest.begin(), largest.end(), group.largest.begin(), group.largest.begin(),
                   [](float a, float b) { return std::max(a, b); });
  } else {
    std::copy_n(values, count, (part == Part::gain ? group.gain : group.bias).begin() + first);
  }
}

const float* Smoothing::factors(d4j_slot slot, int layer) {
  const std::lock_guard<std::mutex> lock(mutex_);
  Group& group = group_of(slot, layer);
  if (group.factors.empty()) {
    group.factors = group.gain.empty() ? std::vector<float>(static_cast<std::size_t>(hidden_size_), 1.0F)
                                       : factors_of(group.gain, group.bias, group.largest);
  }
  return group.factors.data();
}

}  // namespace dolly4j
