// How conformance.cpp and decoder_cases.cpp compare results with the oracle's, element by element.
#pragma once

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
        if (difference / allowed > result_.worst) {
          result_.worst = difference / allowed;
          result_.worst_case = case_;
        }
      }
    }
    // In fewer elements a share of one percent is chance.
    constexpr std::int64_t kEnough = 1000;
    if (expected.dtype() == DType::bfloat16 && expected.count() >= kEnough &&
        static_cast<double>(differing) > tolerance.differing * static_cast<double>(expected.count())) {
      fail(std::to_string(differing) + " of the " + std::to_string(expected.count()) + " bfloat16 numbers of " + what +
           " differ from the oracle's: are they rounded to nearest even, once?");
    }
  }

  // For ops that are exact.
  void compare_exact(const char* what, const Buffer& actual, const Buffer& expected, const Tolerance& tolerance) {
    compare(what, actual, expected, tolerance, [](std::int64_t) { return Scale{0, 0}; });
  }

 private:
  void fail(const std::string& reason) {
    if (!failed_) {
      result_.failures.push_back(case_ + ": " + reason);
      failed_ = true;
    }
  }

  Conformance result_;
  std::string case_;
  bool failed_ = false;
};

}  // namespace dolly4j::test
