#include "bitdiff/cuda/library.h"

#include <string>

#include <gtest/gtest.h>

#include "bitdiff/cuda/recorder.h"

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

TEST(CudaGraphs, AreOpenedOrSayWhatIsMissing) {
  std::string missing;
  const auto make = open_graphs(missing);
  if (!BITDIFF_HAS_CUDA_GRAPHS) {
    EXPECT_FALSE(make);
    EXPECT_NE(missing.find("libbitdiff_graphs.so"), std::string::npos) << missing;
  } else if (make) {
    EXPECT_EQ(missing, "");
  } else {
    // What it takes of LibTorch may lack libraries of CUDA; it has been found itself.
    EXPECT_EQ(missing.find("libbitdiff_graphs.so: cannot open"), std::string::npos) << missing;
  }
}

TEST(CudaLibrary, WhatAKernelReturnsIsAnError) {
  EXPECT_NO_THROW(check(nullptr));
  EXPECT_THROW(check("out of memory"), c10::Error);
}

}  // namespace
}  // namespace bitdiff::cuda
