// Evens out the columns of the quantised matrices of the blocks behind their LayerNorms, before they are quantised.
//
//   W x = (W diag(s)) (x / s)      where x / s = n gain / s + bias / s,  n the normalised input of the norm
//
//   s[j] = 2^k, k whole and nearest to log2(sqrt(q[j] / median of q)), of -6 .. 6
//   q[j] = sqrt(gain[j]^2 + bias[j]^2) / max over rows of |W[row, j]|
//
// That is the formula of SmoothQuant (Xiao et al. 2023, alpha 1/2), with the size that the norm itself gives a channel
// in place of activations that a calibration on text would measure: the weights are all that is observed. Columns share
// a scale with others: those that are small because their channel is large keep more bits if they are made larger. Half
// of the ratio goes into the weights, so that a large channel with weights of the usual size does not make its column
// the only one that counts. A power of two changes no bit of what is not quantised. The final norm stays as it is,
// since what it gives out can be asked for.
#pragma once

#include <cstdint>
#include <mutex>
#include <vector>

#include "dolly4j.h"

namespace dolly4j {

class Smoothing {
 public:
  /// For a spec that has passed check_spec.
  explicit Smoothing(const d4j_decoder_spec& spec);

  /// Whether a slot is such a norm or matrix.
  static bool concerns(d4j_slot slot);

  /// Takes `count` rows of such a norm or matrix into account, row-major float32, from row `first` on: an observer, as
  /// the literature on quantisation calls what gathers sizes during calibration. Thread-safe, in any order. Throws
  /// D4J_INVALID_ARGUMENT if factors of that norm were given out already.
  void observe(d4j_slot slot, int layer, std::int64_t first, std::int64_t count, const float* values);

  /// s, [hidden size]: what the columns of the matrix are multiplied with, and the norm divided by. All 1 if the norm
  /// or its matrices were not observed. Thread-safe; the pointer stays valid.
  const float* factors(d4j_slot slot, int layer);

 private:
  /// A norm and the matrices that take what it gives out.
  struct Group {
    std::vector<float> gain;     // [hidden size]; empty until observed
    std::vector<float> bias;     // as gain
    std::vector<float> largest;  // of the absolute values of each column, as gain
    std::vector<float> factors;  // empty until given out
  };

  Group& group_of(d4j_slot slot, int layer);

  std::int64_t hidden_size_;
  std::int64_t layers_;
  bool shared_norm_;
  std::vector<Group> groups_;  // attention norms by layer, then norms of the feed-forward by layer
  std::mutex mutex_;           // of groups_
};

}  // namespace dolly4j
