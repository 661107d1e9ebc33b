// How conformance.cpp and decoder_cases.cpp compare results with the oracle's, element by element.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "buffer.h"
#include "conformance.h"
#include "tolerance.h"

namespace dolly4j::test {

// Scale of one element's error: see tolerance.h.
struct Scale {
  double magnitude;
  double value;
};

inline double magnitude(float number) { return std::abs(static_cast<double>(number)); }

// Collects a Conformance: runs the cases, compares their results.
class Comparison {
 public:
  // Runs over all shapes that are supported; body(shape, seed) compares by this object.
  template <class Shape, class Body>
  Conformance over(const std::vector<Shape>& shapes, const Supports<Shape>& supports, const Body& body) {
    std::uint64_t seed = 0;
    for (const Shape& shape : shapes) {
      seed++;
      if (supports && !supports(shape)) {
        result_.left_out++;
        continue;
      }
      result_.cases++;
      case_ = describe(shape);
      failed_ = false;
      body(shape, seed);
    }
    // Rounding to nearest is off towards zero as often as away from it.
    if (differing_ >= kEnough && 4 * towards_zero_ > 3 * differing_) {
      result_.failures.push_back(
          "all cases: " + std::to_string(towards_zero_) + " of the " + std::to_string(differing_) +
          " bfloat16 numbers that differ from the oracle's are nearer to zero: are they truncated, not rounded?");
    }
    return std::move(result_);
  }

  template <class ScaleOf>
  void compare(const char* what, const Buffer& actual, const Buffer& expected, const Tolerance& tolerance,
               const ScaleOf& scale_of) {
    std::int64_t differing = 0;
    for (std::int64_t i = 0; i < expected.count(); i++) {
      const double difference = std::abs(static_cast<double>(actual.at(i)) - static_cast<double>(expected.at(i)));
      const Scale scale = scale_of(i);
      const double allowed = tolerance.of_magnitude * scale.magnitude + tolerance.of_value * scale.value;
      // Written so that a NaN on either side fails.
      if (!(difference <= allowed)) {
        std::ostringstream reason;
        reason << what << "[" << i << "] is " << actual.at(i) << ", expected " << expected.at(i) << ": off by "
               << difference << ", allowed " << allowed;
        fail(reason.str());
        return;
      }
      if (difference > 0) {
        differing++;
        if (expected.dtype() == DType::bfloat16 && tolerance.differing == 1) {
          differing_++;
          towards_zero_ += magnitude(actual.at(i)) < magnitude(expected.at(i)) ? 1 : 0;
        }
        if (difference / allowed > result_.worst) {
          result_.worst = difference / allowed;
          result_.worst_case = case_;
        }
      }
    }
    if (expected.dtype() == DType::bfloat16 && expected.count() >= kEnough &&
        static_cast<double>(differing) > tolerance.differing * static_cast<double>(expected.count())) {
      fail(std::to_string(differing) + " of the " + std::to_string(expected.count()) + " bfloat16 numbers of " + what +
           " differ from the oracle's: are they rounded to nearest even, once?");
    }
  }

  // For numbers that must be kept in float32: those that bfloat16 can hold too are the fewer, however they arose.
  void compare_precision(const char* what, const std::vector<float>& actual) {
    const auto rounded = std::count_if(actual.begin(), actual.end(),
                                       [](float number) { return to_float(to_bfloat16(number)) == number; });
    if (4 * rounded > 3 * static_cast<std::int64_t>(actual.size())) {
      fail(std::to_string(rounded) + " of the " + std::to_string(actual.size()) + " float32 numbers of " + what +
           " are bfloat16 numbers: were they rounded to that?");
    }
  }

  // For ops that are exact.
  void compare_exact(const char* what, const Buffer& actual, const Buffer& expected, const Tolerance& tolerance) {
    compare(what, actual, expected, tolerance, [](std::int64_t) { return Scale{0, 0}; });
  }

 private:
  static constexpr std::int64_t kEnough = 1000;  // in fewer elements a share of one percent is chance

  void fail(const std::string& reason) {
    if (!failed_) {
      result_.failures.push_back(case_ + ": " + reason);
      failed_ = true;
    }
  }

  Conformance result_;
  std::string case_;
  bool failed_ = false;
  // Of all cases that let every bfloat16 number differ: those that do, and of them those nearer to zero.
  std::int64_t differing_ = 0;
  std::int64_t towards_zero_ = 0;
};

}  // namespace dolly4j::test
