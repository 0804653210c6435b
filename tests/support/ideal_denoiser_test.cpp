#include "tests/support/ideal_denoiser.h"

#include <cmath>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace bitdiff::test {
namespace {

Tensor answer(const IdealDenoiser& net, const Tensor& x_t, const Tensor& gamma) {
  return net.forward(x_t, at::zeros_like(x_t), gamma, {});
}

TEST(IdealDenoiser, OfOneFairBitIsTheHyperbolicTangent) {
  const IdealDenoiser net(at::tensor({-1.f, 1.f}).reshape({2, 1}), at::tensor({0.5, 0.5}));
  const auto x_t = at::linspace(-3, 3, 13).reshape({13, 1});
  for (const double g : {0.01, 0.5, 0.9}) {
    const auto expected = at::tanh(x_t.to(at::kDouble) * std::sqrt(g) / (1 - g));
    const auto x_0 = answer(net, x_t, at::full({13}, g, at::kDouble));
    EXPECT_TRUE(at::allclose(x_0, expected.to(at::kFloat), 1e-6, 1e-7));
  }
}

TEST(IdealDenoiser, IsBayesRuleWrittenOut) {
  at::manual_seed(0);
  const auto codes = at::randn({5, 2, 3});
  const auto p = at::tensor({0.1, 0.2, 0.3, 0.15, 0.25}, at::kDouble);
  const auto x_t = at::randn({4, 2, 3});
  const auto gamma = at::tensor({0.05, 0.3, 0.6, 0.95}, at::kDouble);
  const auto x_0 = answer(IdealDenoiser(codes, p), x_t, gamma);
  for (int64_t row = 0; row < 4; ++row) {
    const double g = gamma[row].item<double>();
    auto sum = at::zeros({2, 3}, at::kDouble);
    double evidence = 0;
    for (int64_t m = 0; m < 5; ++m) {
      const auto distance = (x_t[row] - std::sqrt(g) * codes[m]).to(at::kDouble).square().sum();
      const double weight =
          p[m].item<double>() * std::exp(-distance.item<double>() / (2 * (1 - g)));
      sum += weight * codes[m];
      evidence += weight;
    }
    EXPECT_TRUE(at::allclose(x_0[row], (sum / evidence).to(at::kFloat), 1e-5, 1e-6));
  }
}

TEST(IdealDenoiser, KnowsOnlyThePriorInPureNoiseAndTheDataWithoutNoise) {
  const auto codes = at::tensor({-1.f, -1.f, 1.f, -1.f, 1.f, 1.f}).reshape({3, 2});
  const auto p = at::tensor({0.5, 0.3, 0.2}, at::kDouble);
  const IdealDenoiser net(codes, p);
  const auto mean = p.to(at::kFloat).matmul(codes);
  const auto blind = answer(net, at::randn({1, 2}), at::full({1}, 1e-12, at::kDouble));
  EXPECT_TRUE(at::allclose(blind[0], mean, 0, 1e-5));
  const auto clear = answer(net, codes, at::full({3}, 1 - 1e-9, at::kDouble));
  EXPECT_TRUE(at::allclose(clear, codes));
}

TEST(IdealDenoiser, AnswersWithTheSameEstimateInEveryPrediction) {
  at::manual_seed(0);
  const auto codes = at::randn({4, 3}).sign();
  const auto p = at::full({4}, 0.25, at::kDouble);
  const auto x_t = at::randn({6, 3});
  const auto gamma = at::linspace(0.1, 0.9, 6, at::kDouble);
  const auto g = gamma.to(at::kFloat).unsqueeze(1);
  const auto x_0 = answer(IdealDenoiser(codes, p), x_t, gamma);
  const auto eps = answer(IdealDenoiser(codes, p, Prediction::kEps), x_t, gamma);
  const auto v = answer(IdealDenoiser(codes, p, Prediction::kV), x_t, gamma);
  EXPECT_TRUE(at::allclose(sqrt(g) * x_0 + sqrt(1 - g) * eps, x_t, 1e-5, 1e-6));
  EXPECT_TRUE(at::allclose(sqrt(g) * x_t - sqrt(1 - g) * v, x_0, 1e-5, 1e-6));
}

TEST(IdealDenoiser, CountsItsCallsAndNoticesSelfConditioning) {
  const IdealDenoiser net(at::tensor({-1.f, 1.f}).reshape({2, 1}), at::tensor({0.5, 0.5}));
  const auto x_t = at::ones({1, 1});
  const auto gamma = at::full({1}, 0.5, at::kDouble);
  answer(net, x_t, gamma);
  EXPECT_FALSE(net.saw_self_cond());
  net.forward(x_t, x_t, gamma, {});
  EXPECT_TRUE(net.saw_self_cond());
  EXPECT_EQ(net.calls(), 2);
}

}  // namespace
}  // namespace bitdiff::test
