#include "bitdiff/cuda/library.h"

#include <gtest/gtest.h>

namespace bitdiff::cuda {
namespace {

TEST(CudaLibrary, IsFoundWhereItWasBuilt) {
  if (!BITDIFF_HAS_CUDA_KERNELS) GTEST_SKIP() << "built without nvcc";
  ASSERT_NE(library(), nullptr);
  EXPECT_NE(library()->group_norm, nullptr);
  EXPECT_NE(library()->random, nullptr);
}

TEST(CudaLibrary, IsForGpusThatCanRunIt) {
  EXPECT_EQ(library_for(at::kCPU), nullptr);
  if (!BITDIFF_HAS_CUDA_KERNELS) GTEST_SKIP() << "built without nvcc";
  EXPECT_FALSE(library()->runs_on(1000)) << "a GPU that nobody has";
}

TEST(CudaLibrary, WhatAKernelReturnsIsAnError) {
  EXPECT_NO_THROW(check(nullptr));
  EXPECT_THROW(check("out of memory"), c10::Error);
}

}  // namespace
}  // namespace bitdiff::cuda
