#include "bitdiff/metrics/moments.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/support/normal_rows.h"

namespace bitdiff {
namespace {

TEST(Moments, AreTheSameInWhateverPiecesTheVectorsCome) {
  // Far from zero, where sums of squares would lose their digits.
  const auto x = test::normal_rows(1, 9000, 5).add(1000);
  Moments whole, pieces, second;
  whole.add(x);
  pieces.add(x.slice(0, 0, 1));
  pieces.add(x.slice(0, 1, 1));  // None.
  pieces.add(x.slice(0, 1, 5000));
  second.add(x.slice(0, 5000));
  pieces.merge(second);
  EXPECT_EQ(pieces.count(), 9000);

  const auto exact = x.to(at::kDouble);
  const auto centred = exact - exact.mean(0);
  const auto covariance = at::matmul(centred.t(), centred).div(8999);
  for (const auto* moments : {&whole, &pieces}) {
    EXPECT_LT((moments->mean() - exact.mean(0)).abs().max().item<double>(), 1e-10);
    EXPECT_LT((moments->covariance() - covariance).abs().max().item<double>(), 1e-10);
  }
}

TEST(FrechetDistance, OfDiagonalCovariancesIsTheClosedForm) {
  const auto m1 = at::tensor({1.0, 2.0, 3.0}, at::kDouble);
  const auto m2 = at::tensor({0.0, 2.5, 3.0}, at::kDouble);
  const auto s1 = at::tensor({1.0, 4.0, 0.0}, at::kDouble);  // Singular.
  const auto s2 = at::tensor({9.0, 0.0, 2.0}, at::kDouble);
  const double expected =
      ((m1 - m2).square().sum() + (s1.sqrt() - s2.sqrt()).square().sum()).item<double>();
  EXPECT_NEAR(frechet_distance(m1, s1.diag(), m2, s2.diag()), expected, 1e-12);
}

TEST(FrechetDistance, IsSymmetricAndZeroToItself) {
  const auto x = test::normal_rows(1, 40, 8), y = test::normal_rows(2, 50, 8).mul(2);
  EXPECT_NEAR(frechet_distance(x, y), frechet_distance(y, x), 1e-10);
  EXPECT_NEAR(frechet_distance(x, x), 0, 1e-10);
  EXPECT_GT(frechet_distance(x, y), 1);
}

TEST(FrechetDistance, OfFewVectorsIsThatOfTheirMoments) {
  const auto x = test::normal_rows(3, 12, 64), y = test::normal_rows(4, 9, 64).add(0.3);
  const auto wide = test::normal_rows(5, 90, 64);
  for (const auto& other : {y, wide}) {
    Moments a, b;
    a.add(x);
    b.add(other);
    const auto plain = frechet_distance(a.mean(), a.covariance(), b.mean(), b.covariance());
    EXPECT_NEAR(frechet_distance_of_few(x, other), plain, 1e-6 * plain);
    EXPECT_NEAR(frechet_distance(x, other), plain, 1e-6 * plain);
  }
}

}  // namespace
}  // namespace bitdiff
