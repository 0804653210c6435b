#include "bitdiff/nn/layers.h"

#include <cmath>
#include <vector>

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include "bitdiff/nn/time_embedding.h"

namespace bitdiff {
namespace {

TEST(Parameters, StartUniformWithTheVarianceOfKeras) {
  Parameters parameters(0);
  const auto weight = parameters.add("w", {64, 32, 3, 3}, 2).detach();
  const double variance = 2 / ((64 + 32) * 9 / 2.0);
  EXPECT_NEAR(weight.var().item<double>(), variance, 0.02 * variance);
  EXPECT_NEAR(weight.mean().item<double>(), 0, 5 * std::sqrt(variance / weight.numel()));
  EXPECT_LE(weight.abs().max().item<double>(), std::sqrt(3 * variance));
}

TEST(Parameters, DoNotDependOnTheOrderOfMemory) {
  Parameters parameters(5);
  const auto kernel = parameters.add("w", {8, 4, 3, 3});
  EXPECT_TRUE(kernel.is_contiguous(at::MemoryFormat::ChannelsLast));
  const auto flat = Streams(5, {0}).fork(Purpose::kInit, 0).uniform({1, 8 * 4 * 9});
  const auto unit = kernel.detach().contiguous().flatten() * std::sqrt(6 * 9 / 3.0);
  EXPECT_TRUE(unit.allclose(flat[0] * 2 - 1, 1e-5, 1e-6));
}

TEST(Conv2d, PadsAStrideOfTwoAtTheBottomAndRight) {
  Parameters parameters(0);
  const Conv2d conv(1, 1, Scope(parameters), {.stride = 2});
  const c10::NoGradGuard no_grad;
  Tensor(conv.weight).fill_(1);
  // TensorFlow, SAME: the window of output (0, 0) starts at input (0, 0).
  const auto x = at::arange(16, at::kFloat).view({1, 1, 4, 4});
  const auto expected = at::tensor({45.f, 39.f, 66.f, 50.f}).view({1, 1, 2, 2});
  EXPECT_TRUE(conv(x).equal(expected)) << conv(x);
}

TEST(GroupNorm, LeavesEachGroupWithMeanZeroAndVarianceOne) {
  Parameters parameters(0);
  const GroupNorm norm(8, 2, Scope(parameters));
  const auto x = Streams(1, {0, 1, 2}).normal({3, 8, 5, 5}) * 4 + 7;
  const auto y = norm(x).detach().view({3, 2, -1});
  EXPECT_LT(y.mean(2).abs().max().item<double>(), 1e-5);
  EXPECT_LT((y.var(2, false) - 1).abs().max().item<double>(), 1e-4);
}

TEST(GroupNorm, IsTheSameInBothOrdersOfMemory) {
  Parameters parameters(0);
  const GroupNorm norm(64, 16, Scope(parameters));
  const auto x = Streams(1, {0, 1, 2}).normal({3, 64, 8, 8});
  EXPECT_TRUE(norm(x.contiguous(at::MemoryFormat::ChannelsLast)).allclose(norm(x), 1e-5, 1e-5));
}

TEST(SelfAttention, IsTheSoftmaxOfItsProducts) {
  Parameters parameters(0);
  const SelfAttention attention(8, 2, Scope(parameters));
  const c10::NoGradGuard no_grad;
  const auto x = Streams(2, {0, 1, 2}).normal({3, 5, 8});
  std::vector<Tensor> heads;
  const auto qkv = attention.qkv(x);
  for (int64_t h = 0; h < 2; ++h) {
    const auto part = [&](int64_t i) { return qkv.narrow(2, 8 * i + 4 * h, 4); };
    const auto weights = at::softmax(at::matmul(part(0), part(1).transpose(1, 2)) / 2, -1);
    heads.push_back(at::matmul(weights, part(2)));
  }
  EXPECT_TRUE(attention(x).allclose(attention.out(at::cat(heads, 2)), 1e-5, 1e-6));
}

TEST(Dropout, KeepsTheMeanAndDropsItsShare) {
  const auto x = at::ones({4, 50000});
  const auto y = dropout(x, 0.3, Streams(0, {0, 1, 2, 3}), 0);
  const double n = 200000;
  EXPECT_NEAR(y.eq(0).to(at::kDouble).mean().item<double>(), 0.3, 5 * std::sqrt(0.21 / n));
  EXPECT_NEAR(y.mean().item<double>(), 1, 5 * std::sqrt(0.3 / 0.7 / n));
}

TEST(Dropout, IsAFunctionOfStreamsAndLayer) {
  const auto x = at::ones({2, 64});
  const Streams streams(0, {5, 6});
  const auto y = dropout(x, 0.5, streams, 1);
  EXPECT_TRUE(y.equal(dropout(x, 0.5, streams, 1)));
  EXPECT_FALSE(y.equal(dropout(x, 0.5, streams, 2)));
  EXPECT_TRUE(y[1].equal(dropout(x.slice(0, 1), 0.5, streams.slice(1, 2), 1)[0]));
}

TEST(Dropout, DropsTheSameInBothOrdersOfMemory) {
  const auto x = Streams(1, {0, 1}).normal({2, 4, 3, 3});
  const Streams streams(0, {5, 6});
  const auto last = dropout(x.contiguous(at::MemoryFormat::ChannelsLast), 0.5, streams, 0);
  EXPECT_TRUE(last.equal(dropout(x, 0.5, streams, 0)));
}

TEST(Dropout, DoesNothingWithoutStreamsOrRate) {
  const auto x = at::ones({2, 64});
  EXPECT_TRUE(dropout(x, 0.5, std::nullopt, 0).is_same(x));
  EXPECT_TRUE(dropout(x, 0, Streams(0, {0, 1}), 0).is_same(x));
}

TEST(PositionalEncoding, HasSinesFirstAndThenCosines) {
  const auto y = positional_encoding(at::tensor({0.0, 700.0}), 4);
  const auto expected = at::tensor({0.0, 0.0, 1.0, 1.0, std::sin(700.0), std::sin(7.0),
                                    std::cos(700.0), std::cos(7.0)})
                            .view({2, 4})
                            .to(at::kFloat);
  EXPECT_TRUE(y.allclose(expected, 0, 1e-7)) << y;
}

TEST(TimeEmbedding, IsFiniteAtTheEndsOfTime) {
  Parameters parameters(0);
  const TimeEmbedding embedding(TimeInput::kLogSnr, {8, 16, 0}, Scope(parameters));
  const auto gamma = at::tensor({1.0, 1e-9, 1e-300});
  EXPECT_TRUE(at::isfinite(embedding(gamma, {})).all().item<bool>());
}

}  // namespace
}  // namespace bitdiff
