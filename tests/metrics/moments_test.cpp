#include "bitdiff/metrics/moments.h"

#include <cmath>

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

TEST(FrechetDistance, OfFewerVectorsThanDimensionsIsTheTraceNormOfTheirProducts) {
  // Tr (S1^.5 S2 S1^.5)^.5 is the sum of the singular values of A B^T for S1 = A^T A, S2 = B^T B.
  const auto x = test::normal_rows(3, 12, 64).to(at::kDouble),
             y = test::normal_rows(4, 9, 64).to(at::kDouble).add(0.3);
  const auto a = (x - x.mean(0)) / std::sqrt(11.0), b = (y - y.mean(0)) / std::sqrt(8.0);
  const auto roots = at::linalg_svdvals(at::matmul(a, b.t())).sum();
  const double expected =
      ((x.mean(0) - y.mean(0)).square().sum() + a.square().sum() + b.square().sum() - 2 * roots)
          .item<double>();
  EXPECT_NEAR(frechet_distance(x, y), expected, 1e-6 * expected);
}

}  // namespace
}  // namespace bitdiff
