// Kernel distance, Inception Score, precision and recall, and all of them together.

#include <cmath>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "bitdiff/metrics/image_figures.h"
#include "bitdiff/metrics/inception_score.h"
#include "bitdiff/metrics/kid.h"
#include "bitdiff/metrics/precision_recall.h"
#include "tests/support/normal_rows.h"
#include "tests/support/temporary_folder.h"

namespace bitdiff {
namespace {

TEST(KernelInceptionDistance, OfTwoNumbersEachIsWhatTheFormulaSays) {
  // D = 1: k(x, y) = (x y + 1)^3. Sets {0, 1} and {2, 3}.
  const auto x = at::tensor({0.0, 1.0}).view({2, 1}), y = at::tensor({2.0, 3.0}).view({2, 1});
  const double within_x = 1, within_y = 343, across = (1 + 1 + 27 + 64) / 4.0;
  const auto found = kernel_inception_distance(x, y, {});
  EXPECT_NEAR(found.mean, within_x + within_y - 2 * across, 1e-12);
  EXPECT_EQ(found.deviation, 0);
}

TEST(KernelInceptionDistance, OfSubsetsIsUnbiasedAndAFunctionOfTheSeed) {
  const auto x = test::normal_rows(1, 300, 16), y = test::normal_rows(2, 200, 16).add(0.5);
  const auto whole = kernel_inception_distance(x.slice(0, 0, 200), y, {}).mean;
  const KidOptions options{.subsets = 200, .subset_size = 50, .seed = 3};
  const auto parts = kernel_inception_distance(x.slice(0, 0, 200), y, options);
  EXPECT_GT(parts.deviation, 0);
  EXPECT_NEAR(parts.mean, whole, 4 * parts.deviation / std::sqrt(200.0));
  EXPECT_EQ(parts.mean, kernel_inception_distance(x.slice(0, 0, 200), y, options).mean);
  const auto other = kernel_inception_distance(x.slice(0, 0, 200), y,
                                               {.subsets = 200, .subset_size = 50, .seed = 4});
  EXPECT_NE(parts.mean, other.mean);
}

TEST(InceptionScore, IsTheNumberOfClassesWhenEachImageHasOneAndOneWhenNoneHas) {
  const auto certain = at::eye(4).mul(100).repeat({5, 1});
  EXPECT_NEAR(inception_score(certain, {.splits = 1}).mean, 4, 1e-9);
  const auto alike = at::eye(4).slice(0, 0, 1).mul(100).repeat({20, 1});
  EXPECT_NEAR(inception_score(alike, {.splits = 4}).mean, 1, 1e-9);
  // No logit is so low that the logarithm of a mean of zeros gets in.
  const auto extreme = at::eye(4).mul(1e6).repeat({5, 1});
  EXPECT_NEAR(inception_score(extreme, {.splits = 1}).mean, 4, 1e-9);
}

TEST(InceptionScore, OfTwoImagesIsTheClosedForm) {
  const auto p = at::tensor({0.5, 0.5, 0.9, 0.1}, at::kDouble).view({2, 2});
  const double divergence = (0.5 * std::log(0.5 / 0.7) + 0.5 * std::log(0.5 / 0.3) +
                             0.9 * std::log(0.9 / 0.7) + 0.1 * std::log(0.1 / 0.3)) /
                            2;
  EXPECT_NEAR(inception_score(p.log(), {.splits = 1}).mean, std::exp(divergence), 1e-12);
}

TEST(PrecisionRecall, AreTheSharesWithinTheBallsOfTheOtherSet) {
  // More vectors than a block has, so that blocks are put together.
  const auto x = test::normal_rows(1, 700, 3), y = test::normal_rows(2, 600, 3).mul(0.5).add(0.4);
  const auto share = [](const Tensor& points, const Tensor& centres) {
    const auto own = at::cdist(centres.to(at::kDouble), centres.to(at::kDouble));
    const auto radii = std::get<0>(own.sort(1)).select(1, 3);
    const auto distances = at::cdist(points.to(at::kDouble), centres.to(at::kDouble));
    return distances.le(radii).any(1).to(at::kDouble).mean().item<double>();
  };
  const auto found = precision_recall(x, y);
  EXPECT_NEAR(found.precision, share(x, y), 1e-12);
  EXPECT_NEAR(found.recall, share(y, x), 1e-12);
  EXPECT_LT(found.precision, 0.9);
  EXPECT_GT(found.precision, 0.1);
}

TEST(PrecisionRecall, AreOneForTheSameImagesAndZeroForDistantOnes) {
  const auto x = test::normal_rows(1, 20, 5);
  EXPECT_EQ(precision_recall(x, x).precision, 1);
  EXPECT_EQ(precision_recall(x, x.add(100)).precision, 0);
  EXPECT_EQ(precision_recall(x, x.add(100)).recall, 0);
}

TEST(ImageFigures, AreThoseAskedForWithAFloorFromTheReferenceAlone) {
  const FeatureExtractor::Output reference{test::normal_rows(1, 60, 6), test::normal_rows(2, 60, 4),
                                           test::normal_rows(3, 60, 5)};
  const FeatureExtractor::Output near{test::normal_rows(4, 50, 6), test::normal_rows(5, 50, 4),
                                      test::normal_rows(6, 50, 5)};
  const FeatureExtractor::Output far{near.features + 3, near.logits, near.spatial + 3};
  const auto a = image_figures(near, reference, metrics_from(near), 7);
  const auto b = image_figures(far, reference, metrics_from(far), 7);
  const std::vector<std::string> names = {"fid", "kid", "is", "precision", "recall", "sfid"};
  ASSERT_EQ(a.size(), names.size());
  for (size_t i = 0; i < names.size(); ++i) {
    EXPECT_EQ(a[i].name, names[i]);
    EXPECT_EQ(a[i].floor, b[i].floor);
    EXPECT_EQ(a[i].value == b[i].value, names[i] == "is");
  }
  EXPECT_GT(b[0].value, 50);
  const auto again = image_figures(near, reference, {ImageMetric::kFid}, 8);
  EXPECT_EQ(again[0].value, a[0].value);
  EXPECT_NE(again[0].floor, a[0].floor) << "the seed draws the halves";
}

TEST(ImageFigures, RefuseWhatCannotBeComputed) {
  const FeatureExtractor::Output plain{test::normal_rows(1, 20, 3), {}, {}};
  const FeatureExtractor::Output few{test::normal_rows(1, 7, 3), {}, {}};
  EXPECT_EQ(metrics_from(plain).size(), 3U);
  const auto say = [](const auto& x, const auto& y, ImageMetric metric) {
    return refusal(ErrorKind::kInput, [&] { image_figures(x, y, {metric}, 0); });
  };
  expect_contains(say(plain, plain, ImageMetric::kIs), "is: the network has no classes");
  expect_contains(say(plain, plain, ImageMetric::kSfid), "sfid: the network has no spatial");
  expect_contains(say(few, plain, ImageMetric::kFid), "at least 8 samples");
}

}  // namespace
}  // namespace bitdiff
