#include "bitdiff/diffusion/train_loss.h"

#include <numeric>

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

namespace bitdiff {
namespace {

/// Answers with weight * x_t and remembers what it was asked.
class Recorder final : public Denoiser {
 public:
  Tensor forward(const Tensor& x_t, const Tensor& x0_prev, const Tensor& gamma,
                 const Condition& cond) const override {
    calls.push_back({x_t, x0_prev.clone(), gamma, cond.label, cond.context, cond.seen,
                     c10::GradMode::is_enabled()});
    return weight * x_t;
  }

  struct Call {
    Tensor x_t, x0_prev, gamma, label, context;
    std::vector<Tensor> seen;
    bool with_gradient;
  };
  mutable std::vector<Call> calls;
  Tensor weight = at::full({1}, 3.0).requires_grad_();
};

class TrainLoss : public ::testing::Test {
 protected:
  Tensor loss(int64_t self_cond_rows) {
    return train_loss(process_, net_, x_,
                      {.label = at::arange(6), .context = at::arange(12).view({6, 2, 1})},
                      Streams(5, {10, 11, 12, 13, 14, 15}), self_cond_rows, weight_);
  }

  Process process_{.codec = Codec({.categories = {16}}, 1)};
  Tensor x_ = at::randint(0, 16, {6, 1, 7}, at::kLong);
  Recorder net_;
  Tensor weight_;
};

TEST_F(TrainLoss, GivesTheFirstRowsTheirClippedEstimateAndTheRestZeros) {
  loss(2);
  ASSERT_EQ(net_.calls.size(), 2u);
  const auto& first = net_.calls[0];
  const auto& second = net_.calls[1];
  EXPECT_EQ(first.x_t.size(0), 2);
  EXPECT_TRUE(first.x0_prev.eq(0).all().item<bool>());
  EXPECT_TRUE(second.x_t.slice(0, 0, 2).equal(first.x_t));
  EXPECT_TRUE(second.gamma.slice(0, 0, 2).equal(first.gamma));
  EXPECT_TRUE(first.label.equal(at::arange(2)));
  EXPECT_TRUE(first.context.equal(at::arange(4).view({2, 2, 1})));
  EXPECT_EQ(second.context.size(0), 6);
  EXPECT_TRUE(second.x0_prev.slice(0, 0, 2).equal((3 * first.x_t).clamp(-1, 1)));
  EXPECT_TRUE(second.x0_prev.slice(0, 2).eq(0).all().item<bool>());
}

TEST_F(TrainLoss, TakesNoGradientThroughTheEstimate) {
  loss(6);
  EXPECT_FALSE(net_.calls[0].with_gradient);
  EXPECT_FALSE(net_.calls[1].x0_prev.requires_grad());
  EXPECT_TRUE(net_.calls[1].with_gradient);
}

TEST_F(TrainLoss, CallsTheNetworkOnceWithoutSelfConditioning) {
  loss(0);
  EXPECT_EQ(net_.calls.size(), 1u);
}

TEST_F(TrainLoss, IsTheMeanSquaredErrorWithItsGradient) {
  const auto value = loss(0);
  const auto x_0 = process_.codec.encode(x_);
  const auto x_t = net_.calls[0].x_t;
  EXPECT_NEAR(value.item<double>(), (3 * x_t - x_0).square().mean().item<double>(), 1e-5);
  value.backward();
  EXPECT_NEAR(net_.weight.grad().item<double>(), (2 * (3 * x_t - x_0) * x_t).mean().item<double>(),
              1e-4);
}

TEST_F(TrainLoss, IsTheLossAtTheTimesItDraws) {
  const Streams streams(5, {10, 11, 12, 13, 14, 15});
  const auto gamma = process_.gamma(streams.fork(Purpose::kTime).uniform({6}));
  const Condition cond{.label = at::arange(6), .context = at::arange(12).view({6, 2, 1})};
  EXPECT_TRUE(loss_at(process_, net_, x_, cond, gamma, streams, 2).equal(loss(2)));
  EXPECT_FALSE(loss_at(process_, net_, x_, cond, gamma * 0.9, streams, 2).equal(loss(2)));
}

TEST_F(TrainLoss, WeighsPlaces) {
  weight_ = at::arange(42).view({6, 1, 7}) / 42.0;
  const auto value = loss(0);
  const auto error = (3 * net_.calls[0].x_t - process_.codec.encode(x_)).square();
  EXPECT_NEAR(value.item<double>(), (error * weight_).mean().item<double>(), 1e-5);
}

TEST_F(TrainLoss, OfLogitsIsTheirCrossEntropy) {
  process_.loss = Loss::kLogistic;
  const auto value = loss(2);
  const auto x_0 = process_.codec.encode(x_);
  const auto& last = net_.calls.back();
  EXPECT_TRUE(last.x0_prev.slice(0, 0, 2).allclose((1.5 * last.x_t.slice(0, 0, 2)).tanh()));
  const auto expected =
      at::binary_cross_entropy_with_logits(3 * last.x_t, x_0.gt(0).to(at::kFloat));
  EXPECT_NEAR(value.item<double>(), expected.item<double>(), 1e-5);
}

TEST(LabelDropout, HidesItsShareOfLabelsAnewForTheEstimate) {
  const int64_t n = 4000;
  std::vector<int64_t> rows(n);
  std::iota(rows.begin(), rows.end(), 0);
  const Streams streams(5, rows);
  const Process process{.codec = Codec({.categories = {2}}, 1), .label_dropout = 0.25};
  const auto label = at::arange(n), x = at::zeros({n, 1, 1}, at::kLong);
  const Recorder net;
  train_loss(process, net, x, {.label = label, .dropout = streams.fork(Purpose::kDropout)}, streams,
             n);
  const auto hidden = [&](int call) { return net.calls[call].label.eq(-1); };
  for (const int call : {0, 1}) {
    EXPECT_TRUE(at::logical_or(hidden(call), net.calls[call].label.eq(label)).all().item<bool>());
    EXPECT_NEAR(hidden(call).to(at::kFloat).mean().item<double>(), 0.25, 0.03);
  }
  EXPECT_NEAR(at::logical_and(hidden(0), hidden(1)).to(at::kFloat).mean().item<double>(), 0.0625,
              0.02);

  // Held-out data are seen with their labels.
  const Recorder evaluated;
  train_loss(process, evaluated, x, {.label = label, .dropout = {}}, streams, n);
  EXPECT_TRUE(evaluated.calls[1].label.equal(label));
}

TEST(LabelDropout, HidesWhatTheNetworkMadeOfAnImage) {
  const int64_t n = 4000;
  std::vector<int64_t> rows(n);
  std::iota(rows.begin(), rows.end(), 0);
  const Streams streams(5, rows);
  const Process process{.codec = Codec({.categories = {2}}, 1), .label_dropout = 0.25};
  const auto context = at::ones({n, 2, 3}), seen = at::full({n, 2, 6}, 7.0);
  const Recorder net;
  train_loss(
      process, net, at::zeros({n, 1, 1}, at::kLong),
      {.label = {}, .context = context, .seen = {seen}, .dropout = streams.fork(Purpose::kDropout)},
      streams, 0);
  const auto& call = net.calls[0];
  const auto shown = call.context.select(1, 0).select(1, 0);
  EXPECT_NEAR(shown.mean().item<double>(), 0.75, 0.03);
  EXPECT_TRUE(call.context.equal(context * shown.view({n, 1, 1})));
  EXPECT_TRUE(call.seen[0].equal(seen * shown.view({n, 1, 1})));
}

TEST_F(TrainLoss, CorruptsAsTheScheduleSays) {
  loss(0);
  const auto& call = net_.calls[0];
  const Streams streams(5, {10, 11, 12, 13, 14, 15});
  const auto t = streams.fork(Purpose::kTime).uniform({6});
  EXPECT_TRUE(call.gamma.equal(process_.gamma(t)));
  const auto eps = streams.fork(Purpose::kNoise).normal({6, 4, 7});
  EXPECT_TRUE(call.x_t.allclose(corrupt(process_.codec.encode(x_), eps, call.gamma)));
}

}  // namespace
}  // namespace bitdiff
