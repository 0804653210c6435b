#include "bitdiff/diffusion/process.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "bitdiff/base/autocast.h"
#include "bitdiff/diffusion/step.h"

namespace bitdiff {
namespace {

Process process_of(Prediction prediction, double scale = 1) {
  return {.codec = Codec({.categories = {16}, .scale = scale}, 1), .prediction = prediction};
}

class Predictions : public ::testing::TestWithParam<Prediction> {};
INSTANTIATE_TEST_SUITE_P(All, Predictions,
                         ::testing::Values(Prediction::kX0, Prediction::kEps, Prediction::kV),
                         [](const auto& p) {
                           return p.param == Prediction::kX0    ? "X0"
                                  : p.param == Prediction::kEps ? "Eps"
                                                                : "V";
                         });

TEST_P(Predictions, APerfectAnswerGivesTheDataBack) {
  const auto process = process_of(GetParam());
  const auto x_0 = process.codec.encode(at::randint(0, 16, {8, 1, 5}, at::kLong));
  const auto eps = at::randn_like(x_0);
  const auto gamma = at::linspace(0.05, 0.95, 8, at::kDouble);
  const auto x_t = corrupt(x_0, eps, gamma);
  const auto out = target_of(GetParam(), x_0, eps, gamma);
  EXPECT_TRUE(estimate_x0(process, out, x_t, gamma).allclose(x_0, 1e-5, 1e-5));
}

TEST_P(Predictions, EstimatesAreClippedToTheScale) {
  const auto process = process_of(GetParam(), 0.5);
  const auto x_t = at::randn({4, 4, 5}) * 100;
  const auto gamma = at::full({4}, 0.3, at::kDouble);
  const auto x_0 = estimate_x0(process, at::randn({4, 4, 5}) * 100, x_t, gamma);
  EXPECT_EQ(x_0.abs().max().item<float>(), 0.5f);
}

TEST(Loss, L2IsTheSquaredDistanceToTheTarget) {
  for (const auto prediction : {Prediction::kX0, Prediction::kEps, Prediction::kV}) {
    const auto process = process_of(prediction);
    const auto x_0 = process.codec.encode(at::randint(0, 16, {3, 1, 5}, at::kLong));
    const auto eps = at::randn_like(x_0), out = at::randn_like(x_0);
    const auto gamma = at::linspace(0.1, 0.9, 3, at::kDouble);
    const auto expected = (out - target_of(prediction, x_0, eps, gamma)).square().mean();
    EXPECT_TRUE(loss_of(process, out, x_0, eps, gamma).allclose(expected));
  }
}

TEST(Loss, LogisticIsTheCrossEntropyOfTheBits) {
  for (const double scale : {1.0, 0.5}) {
    auto process = process_of(Prediction::kX0, scale);
    process.loss = Loss::kLogistic;
    const auto x_0 = process.codec.encode(at::randint(0, 16, {3, 1, 5}, at::kLong));
    const auto logits = at::randn_like(x_0) * 30;  // Far enough to overflow a naive exp.
    const auto expected = at::binary_cross_entropy_with_logits(logits, x_0.gt(0).to(at::kFloat));
    EXPECT_TRUE(loss_of(process, logits, x_0, {}, {}).allclose(expected));
    // The estimate is the expectation of a bit that is 1 with the probability of its logit.
    const auto mean = scale * (2 * logits.sigmoid() - 1);
    EXPECT_TRUE(estimate_x0(process, logits, {}, {}).allclose(mean, 1e-5, 1e-6));
  }
}

class Categories : public ::testing::TestWithParam<Encoding> {
 protected:
  // Two channels of different K, one not a power of two.
  Process process(Loss loss) const {
    return {.codec = Codec({.encoding = GetParam(), .categories = {5, 4}, .scale = 0.5}, 2),
            .head = Head::kSoftmax,
            .loss = loss};
  }
  Tensor x = at::stack({at::randint(0, 5, {3, 6}, at::kLong), at::randint(0, 4, {3, 6})}, 1);
};
INSTANTIATE_TEST_SUITE_P(Every, Categories,
                         ::testing::Values(Encoding::kBinary, Encoding::kGray, Encoding::kPermuted,
                                           Encoding::kOneHot));

TEST_P(Categories, TheSoftmaxHeadExpectsBits) {
  const auto p = process(Loss::kL2);
  ASSERT_EQ(p.out_channels(), 9);
  const auto logits = at::randn({3, 9, 6}) * 3;
  // The sum over categories of probability times code, channel by channel.
  const auto first = logits.slice(1, 0, 5).softmax(1), second = logits.slice(1, 5).softmax(1);
  auto want = at::zeros({3, p.codec.bit_channels(), 6});
  for (int64_t k = 0; k < 5; ++k) {
    const auto both = at::tensor({k, k % 4}).reshape({1, 2, 1});
    const auto code = p.codec.encode(both);
    const int64_t n = p.codec.bits()[0];
    want.slice(1, 0, n) += first.slice(1, k, k + 1) * code.slice(1, 0, n);
    if (k < 4) want.slice(1, n) += second.slice(1, k, k + 1) * code.slice(1, n);
  }
  EXPECT_TRUE(estimate_x0(p, logits, {}, {}).allclose(want, 1e-5, 1e-6));
  const auto x_0 = p.codec.encode(x);
  EXPECT_TRUE(loss_of(p, logits, x_0, {}, {}).allclose((want - x_0).square().mean()));
}

TEST_P(Categories, ATemperatureNearZeroTakesTheLikeliest) {
  const auto p = process(Loss::kSoftmax);
  const auto logits = at::randn({3, 9, 6});
  const auto likeliest =
      at::stack({logits.slice(1, 0, 5).argmax(1), logits.slice(1, 5).argmax(1)}, 1);
  const auto x_0 = p.codec.encode(likeliest);
  EXPECT_TRUE(estimate_x0(p, logits, {}, {}, 1e-7).allclose(x_0));
  EXPECT_TRUE(estimate_x0(p, 2 * logits, {}, {}, 2).allclose(estimate_x0(p, logits, {}, {})));
}

TEST_P(Categories, CertainLogitsGiveTheDataBack) {
  const auto p = process(Loss::kSoftmax);
  const auto x_0 = p.codec.encode(x);
  const auto logits =
      100 * at::cat({at::one_hot(x.select(1, 0), 5), at::one_hot(x.select(1, 1), 4)}, 2)
                .movedim(2, 1)
                .to(at::kFloat);
  EXPECT_TRUE(estimate_x0(p, logits, {}, {}).allclose(x_0, 1e-5, 1e-5));
  EXPECT_LT(loss_of(p, logits, x_0, {}, {}).item<double>(), 1e-6);
  // Knowing nothing costs log K, whatever the code of a category.
  const double unknown = (std::log(5) + std::log(4)) / 2;
  EXPECT_NEAR(loss_of(p, at::zeros_like(logits), x_0, {}, {}).item<double>(), unknown, 1e-6);
}

TEST_P(Categories, ThePosteriorHeadAddsWhatNoiseMakesOfACode) {
  auto p = process(Loss::kSoftmax);
  p.head = Head::kPosterior;
  const auto x_0 = p.codec.encode(x);
  const auto eps = at::randn_like(x_0);
  const auto gamma = at::tensor({0.05, 0.5, 0.9}, at::kDouble);
  const auto x_t = corrupt(x_0, eps, gamma);
  const auto out = at::randn({3, 9, 6});

  // p(category | x_t) ~ exp(out) N(x_t; sqrt(gamma) code, 1 - gamma), one category at a time.
  const int64_t n = p.codec.bits()[0];
  auto logits = out.to(at::kDouble);
  for (int64_t k = 0; k < 5; ++k) {
    const auto code = p.codec.encode(at::tensor({k, k % 4}).reshape({1, 2, 1})).to(at::kDouble);
    const auto off = x_t - gamma.sqrt().reshape({3, 1, 1}) * code;
    const auto density = off.square() / -(2 * (1 - gamma)).reshape({3, 1, 1});
    logits.slice(1, k, k + 1) += density.slice(1, 0, n).sum(1, true);
    if (k < 4) logits.slice(1, 5 + k, 6 + k) += density.slice(1, n).sum(1, true);
  }
  auto plain = p;
  plain.head = Head::kSoftmax;
  const auto want = estimate_x0(plain, logits.to(at::kFloat), {}, {});
  EXPECT_TRUE(estimate_x0(p, out, x_t, gamma).allclose(want, 1e-4, 1e-5));
  EXPECT_TRUE(loss_of(p, out, x_0, eps, gamma)
                  .allclose(loss_of(plain, logits.to(at::kFloat), x_0, {}, {}), 1e-4, 1e-5));
}

TEST_P(Categories, ThePosteriorHeadReadsCleanBitsWhateverTheNetworkSays) {
  auto p = process(Loss::kSoftmax);
  p.head = Head::kPosterior;
  const auto x_0 = p.codec.encode(x);
  const auto gamma = at::full({3}, 1 - 1e-7, at::kDouble);
  const auto out = at::randn({3, 9, 6}) * 3;
  EXPECT_TRUE(estimate_x0(p, out, x_0, gamma).allclose(x_0, 1e-5, 1e-5));
}

TEST(Loss, SoftmaxTakesOneHotBitsAsLogits) {
  Process p{.codec = Codec({.encoding = Encoding::kOneHot, .categories = {5}}, 1),
            .loss = Loss::kSoftmax};
  const auto x = at::randint(0, 5, {3, 1, 6}, at::kLong);
  const auto logits = at::randn({3, 5, 6}) * 3;
  EXPECT_TRUE(loss_of(p, logits, p.codec.encode(x), {}, {})
                  .allclose(at::cross_entropy_loss(logits, x.select(1, 0))));
  EXPECT_TRUE(estimate_x0(p, logits, {}, {}).allclose(2 * logits.softmax(1) - 1, 1e-5, 1e-6));
}

// As autocast on a GPU makes them.
TEST(Loss, SoftmaxOfBfloat16LogitsIsFloat32) {
  Process p{.codec = Codec({.encoding = Encoding::kOneHot, .categories = {5}}, 1),
            .loss = Loss::kSoftmax};
  const auto x = at::randint(0, 5, {3, 1, 6}, at::kLong);
  const auto x_0 = p.codec.encode(x);
  const auto logits = (at::randn({3, 5, 6}) * 3).to(at::kBFloat16);
  const auto loss = loss_of(p, logits, x_0, {}, {});
  EXPECT_TRUE(loss.equal(loss_of(p, logits.to(at::kFloat), x_0, {}, {})));
  EXPECT_TRUE(loss.equal(loss_of(p, logits, x_0, {}, {}, {}, x)));
}

TEST(Corrupt, KeepsTheVarianceOfUnitBits) {
  const auto x_0 = at::randint(0, 2, {4, 50000}).to(at::kFloat) * 2 - 1;
  const auto gamma = at::tensor({0.1, 0.4, 0.7, 0.99}, at::kDouble);
  const auto x_t = corrupt(x_0, at::randn_like(x_0), gamma);
  EXPECT_TRUE(x_t.square().mean(1).allclose(at::ones({4}), 0, 0.03));
  EXPECT_TRUE((x_t * x_0).mean(1).allclose(sqrt(gamma).to(at::kFloat), 0, 0.03));
}

// Golden vectors: x_t = .3, x0 = .8, cosine.
struct Golden {
  double t, t_next, ddim, mean, large, small;
};
class Steps : public ::testing::TestWithParam<Golden> {};
INSTANTIATE_TEST_SUITE_P(Golden, Steps,
                         ::testing::Values(Golden{0.6, 0.4, 0.523478969, 0.581852889, 0.687116865,
                                                  0.499299040},
                                           Golden{1.0, 0.9, 0.421421211, 0.125325420, -1, -1},
                                           Golden{0.1, 0.0, 0.799017636, 0.799998016, -1, -1}));

TEST_P(Steps, TakeTheGoldenValues) {
  const auto& want = GetParam();
  const Schedule gamma;
  const auto x_t = at::full({1}, 0.3, at::kDouble);
  const auto x0 = at::full({1}, 0.8, at::kDouble);
  const double now = gamma(want.t);
  const double next = gamma(want.t_next);
  EXPECT_NEAR(ddim_step(x_t, x0, now, next).item<double>(), want.ddim, 1e-9);
  const auto large = ddpm_step(x_t, x0, now, next, Solver::kDdpm);
  const auto small = ddpm_step(x_t, x0, now, next, Solver::kDdpmSmall);
  EXPECT_NEAR(large.mean.item<double>(), want.mean, 1e-9);
  EXPECT_TRUE(large.mean.equal(small.mean));
  if (want.large < 0) return;
  EXPECT_NEAR(large.deviation, want.large, 1e-9);
  EXPECT_NEAR(small.deviation, want.small, 1e-9);
}

TEST(Steps, TheSmallVarianceIsThatOfThePosterior) {
  // q(x_next | x_t, x0) for x_t = sqrt(a) x_next + sqrt(1 - a) z, by precision-weighted averaging.
  const double now = 0.3;
  const double next = 0.6;
  const double a = now / next;
  const double precision = a / (1 - a) + 1 / (1 - next);
  const auto x_t = at::full({1}, 0.3, at::kDouble);
  const auto x0 = at::full({1}, 0.8, at::kDouble);
  const auto step = ddpm_step(x_t, x0, now, next, Solver::kDdpmSmall);
  EXPECT_NEAR(step.deviation * step.deviation, 1 / precision, 1e-12);
  const double mean =
      (std::sqrt(a) / (1 - a) * 0.3 + std::sqrt(next) / (1 - next) * 0.8) / precision;
  EXPECT_NEAR(step.mean.item<double>(), mean, 1e-12);
}

// Close to the data the bits decide by differences of some thousands, of which bfloat16 keeps two
// digits.
TEST(Posterior, IsNotRoundedUnderAutocast) {
  auto p = process_of(Prediction::kX0);
  p.head = Head::kPosterior;
  p.loss = Loss::kSoftmax;
  const auto x_0 = p.codec.encode(at::randint(0, 16, {8, 1, 5}, at::kLong));
  const auto eps = at::randn_like(x_0), out = at::randn({8, 16, 5});
  const auto gamma = at::linspace(0.05, 0.999, 8, at::kDouble);
  const auto x_t = corrupt(x_0, eps, gamma);
  const auto loss = [&] { return loss_of(p, out, x_0, eps, gamma); };
  const auto estimate = [&] { return estimate_x0(p, out, x_t, gamma); };
  const auto exact_loss = loss(), exact_estimate = estimate();
  const Autocast autocast(true, at::kCPU);
  EXPECT_TRUE(loss().equal(exact_loss));
  EXPECT_TRUE(estimate().equal(exact_estimate));
}

}  // namespace
}  // namespace bitdiff
