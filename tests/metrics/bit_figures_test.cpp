#include "bitdiff/metrics/bit_figures.h"

#include <numeric>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace bitdiff {
namespace {

TEST(BitFigures, CountInUnitsOfTheScale) {
  BitFigures figures(0.5);
  // Two examples of two bits at two places: near a mode are 0.5, -0.46, -0.5 and 0.45001.
  figures.add(at::tensor({0.5, 0.0, -0.46, -0.5}).reshape({1, 2, 2}).to(at::kFloat));
  figures.add(at::tensor({0.45001, 0.2, -0.1, -0.3}).reshape({1, 2, 2}).to(at::kFloat));
  EXPECT_EQ(figures.count(), 8);
  EXPECT_DOUBLE_EQ(figures.share_near_modes(), 0.5);
  const auto& bins = figures.histogram();
  EXPECT_EQ(std::accumulate(bins.begin(), bins.end(), int64_t{0}), 8);
  EXPECT_EQ(bins.front(), 1);                 // -0.5
  EXPECT_EQ(bins.back(), 1);                  // 0.5
  EXPECT_EQ(bins[BitFigures::kBins / 2], 1);  // 0
}

TEST(BitFigures, EntropyIsThatOfEachBit) {
  BitFigures figures(1);
  // Bit 0 is always 1, bit 1 in one of four, bit 2 in half.
  figures.add(
      at::tensor({1, 1, 1, 1, -1, 1, -1, -1, 1, -1, -1, 1}).reshape({3, 4}).t().to(at::kFloat));
  const auto entropy = figures.entropy();
  ASSERT_EQ(entropy.size(), 3u);
  EXPECT_EQ(entropy[0], 0);
  EXPECT_NEAR(entropy[1], 0.811278124459133, 1e-12);
  EXPECT_EQ(entropy[2], 1);
}

}  // namespace
}  // namespace bitdiff
