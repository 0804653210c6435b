#include "bitdiff/base/random.h"

#include <vector>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "bitdiff/base/random_cuda.h"
#include "gpu_test.h"
#include "kernels_on_cpu.h"

namespace bitdiff {
namespace {

using gpu::Distribution;

constexpr uint64_t kSeed = 0x0123456789ABCDEF;
const std::vector<int64_t> kRows = {0, 7, int64_t{1} << 40, 7};
// One counter, a part of one, more than a block of them.
const std::vector<std::vector<int64_t>> kShapes = {{4, 4}, {4, 1}, {4, 3, 5}, {4, 1030}, {4, 0}};

TEST(StreamsOnGpus, UniformNumbersAreTheBitsOfTheCpu) {
  for (const auto& shape : kShapes) {
    const auto found =
        gpu::draw(cuda::on_cpu(), Distribution::kUniform, kSeed, at::tensor(kRows), shape);
    EXPECT_TRUE(found.equal(Streams(kSeed, kRows).uniform(shape))) << IntArrayRef(shape);
  }
}

TEST(StreamsOnGpus, NormalNumbersAreThoseOfTheCpu) {
  for (const auto& shape : kShapes) {
    const auto found =
        gpu::draw(cuda::on_cpu(), Distribution::kNormal, kSeed, at::tensor(kRows), shape);
    EXPECT_TRUE(found.allclose(Streams(kSeed, kRows).normal(shape), 0, 1e-6)) << IntArrayRef(shape);
  }
}

TEST(StreamsOnGpus, RefuseAShapeOfOtherRows) {
  EXPECT_THROW(gpu::draw(cuda::on_cpu(), Distribution::kNormal, kSeed, at::tensor(kRows), {3, 4}),
               c10::Error);
}

TEST_F(OnAGpu, StreamsAreThoseOfTheCpu) {
  const Streams there(kSeed, kRows, device_), here(kSeed, kRows);
  for (const auto& shape : kShapes) {
    EXPECT_TRUE(there.uniform(shape).cpu().equal(here.uniform(shape))) << IntArrayRef(shape);
    EXPECT_TRUE(there.normal(shape).cpu().allclose(here.normal(shape), 0, 1e-6))
        << IntArrayRef(shape);
  }
}

}  // namespace
}  // namespace bitdiff
