#pragma once

#include <gtest/gtest.h>

#include "bitdiff/base/device.h"
#include "bitdiff/base/error.h"
#include "bitdiff/cuda/library.h"

namespace bitdiff {

/// Tests that need a GPU and the library of kernels.
class OnAGpu : public testing::Test {
 protected:
  void SetUp() override {
    if (!BITDIFF_HAS_CUDA_KERNELS) GTEST_SKIP() << "built without nvcc";
    try {
      device_ = open_device("cuda");
    } catch (const UsageError& error) {
      GTEST_SKIP() << error.what();
    }
    ASSERT_NE(cuda::library_for(device_), nullptr) << "else LibTorch is compared with itself";
  }
  at::Device device_ = at::kCPU;
};

}  // namespace bitdiff
