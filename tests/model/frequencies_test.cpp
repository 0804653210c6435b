#include "bitdiff/model/frequencies.h"

#include <cmath>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "bitdiff/data/memory_dataset.h"
#include "bitdiff/diffusion/train_loss.h"

namespace bitdiff {
namespace {

/// Two channels of 2 and 3 categories at two places.
MemoryDataset two_channels() {
  const auto x = at::tensor({0, 1, 2, 2,  //
                             0, 0, 2, 1,  //
                             0, 1, 2, 2,  //
                             1, 1, 2, 0})
                     .view({4, 2, 2});
  return {{.shape = {2, 2}, .categories = {2, 3}}, x, {}};
}

TEST(LogFrequencies, CountEachPlaceSmoothedByAllPlaces) {
  const auto p = log_frequencies(two_channels(), {2, 3}, 4).exp();
  ASSERT_EQ(p.sizes(), IntArrayRef({5, 2}));
  // Channel 0: {3, 1} and {1, 3} of 4 at the places, {4, 4} + 1 over all.
  const auto first = at::tensor({3 + 5 * 0.5F, 1 + 5 * 0.5F}) / 9;
  EXPECT_TRUE(p.slice(0, 0, 2).select(1, 0).allclose(first));
  EXPECT_TRUE(p.slice(0, 0, 2).select(1, 1).allclose(first.flip(0)));
  // Channel 1: {0, 0, 4} and {1, 1, 2}, {1, 1, 6} + 1 over all.
  EXPECT_TRUE(p.slice(0, 2).select(1, 0).allclose(
      at::tensor({5 * 2.0F / 11, 5 * 2.0F / 11, 4 + 5 * 7.0F / 11}) / 9));
  EXPECT_TRUE(p.slice(0, 2).select(1, 1).allclose(
      at::tensor({1 + 5 * 2.0F / 11, 1 + 5 * 2.0F / 11, 2 + 5 * 7.0F / 11}) / 9));
}

TEST(LogFrequencies, TakeExamplesFromAllOverTheData) {
  const auto x = at::arange(2000).floor_divide(1000).view({2000, 1, 1});
  const MemoryDataset data({.shape = {1, 1}, .categories = {2}}, x, {});
  EXPECT_TRUE(log_frequencies(data, {2}, 600).exp().allclose(at::full({2, 1}, 0.5F)));
  EXPECT_TRUE(log_frequencies(data, {2}, 5000).exp().allclose(at::full({2, 1}, 0.5F)));
}

/// What is left to be said of 3/4 zeros and 1/4 ones when the bit is seen through noise.
class Alone : public ::testing::Test {
 protected:
  double loss(double gamma) const {
    const auto net = make_frequency_denoiser(p_.log().unsqueeze(1));
    std::vector<int64_t> rows(4000);
    for (size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<int64_t>(i);
    const auto x = at::arange(4000).remainder(4).eq(0).to(at::kLong).view({4000, 1, 1});
    return loss_at(process_, *net, x, {}, at::full({4000}, gamma, at::kDouble), Streams(1, rows), 0)
        .item<double>();
  }

  Tensor p_ = at::tensor({0.75F, 0.25F});
  Process process_{
      .codec = Codec({.categories = {2}}, 1), .head = Head::kPosterior, .loss = Loss::kSoftmax};
};

TEST_F(Alone, IsTheEntropyWithoutASignal) {
  const double entropy = -0.75 * std::log(0.75) - 0.25 * std::log(0.25);
  EXPECT_NEAR(loss(1e-9), entropy, 1e-3);
}

TEST_F(Alone, IsNothingWithoutNoise) { EXPECT_NEAR(loss(1), 0, 1e-6); }

TEST_F(Alone, IsTheEntropyGivenTheNoisyBit) {
  // H(bit | x_t) by the trapezoidal rule, x_t = sqrt(0.5) bit + sqrt(0.5) eps.
  const auto x = at::arange(-8, 8, 1e-3, at::kDouble);
  const auto density = [&](double bit) {
    return (-(x - std::sqrt(0.5) * bit).square()).exp() / std::sqrt(M_PI);
  };
  const auto one = 0.25 * density(1), zero = 0.75 * density(-1);
  const auto both = one + zero;
  const double expected =
      -at::trapezoid(one * (one / both).log() + zero * (zero / both).log(), 1e-3).item<double>();
  EXPECT_NEAR(loss(0.5), expected, 0.02);
  EXPECT_LT(expected, 0.5);
}

}  // namespace
}  // namespace bitdiff
