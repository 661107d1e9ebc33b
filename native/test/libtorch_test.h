// What tests that need libtorch begin with.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>

#include "dolly4j.h"

namespace dolly4j::test {

// Attaches the libtorch in the folder that the environment variable DOLLY4J_TEST_LIBTORCH names; without it, the test
// is skipped. For SetUp.
inline void attach_test_libtorch() {
  const char* directory = std::getenv("DOLLY4J_TEST_LIBTORCH");
  if (directory == nullptr) {
    GTEST_SKIP() << "DOLLY4J_TEST_LIBTORCH names no folder with libtorch";
  }
  ASSERT_EQ(d4j_libtorch_attach(directory), D4J_OK) << d4j_last_error();
}

class LibtorchTest : public testing::Test {
 protected:
  void SetUp() override { attach_test_libtorch(); }
};

// CUDA devices that the attached libtorch sees.
inline int cuda_devices() {
  d4j_build_info info{};
  return d4j_get_build_info(&info) == D4J_OK ? info.cuda_device_count : 0;
}

}  // namespace dolly4j::test
