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

/// Attention by its formula: softmax of the products, of which `mask` [L, M] lets some through, by
/// heads of 4 channels. `query`: [B, L, C]. `key` and `value`: [B, M, C].
Tensor attend(const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& mask) {
  std::vector<Tensor> heads;
  for (int64_t first = 0; first < query.size(2); first += 4) {
    const auto head = [&](const Tensor& x) { return x.narrow(2, first, 4); };
    const auto products = at::matmul(head(query), head(key).transpose(1, 2)) / 2;
    const auto weights = at::softmax(products.masked_fill(~mask, -INFINITY), -1);
    heads.push_back(at::matmul(weights, head(value)));
  }
  return at::cat(heads, 2);
}

/// Self-attention of `x` [B, L, 8] by its formula.
Tensor attend_to_itself(const SelfAttention& attention, const Tensor& x, const Tensor& mask) {
  const auto part = attention.qkv(x).chunk(3, 2);
  return attention.out(attend(part[0], part[1], part[2], mask));
}

TEST(SelfAttention, IsTheSoftmaxOfItsProducts) {
  Parameters parameters(0);
  const SelfAttention attention(8, 2, Scope(parameters));
  const c10::NoGradGuard no_grad;
  const auto x = Streams(2, {0, 1, 2}).normal({3, 5, 8});
  const auto all = at::ones({5, 5}, at::kBool);
  EXPECT_TRUE(attention(x).allclose(attend_to_itself(attention, x, all), 1e-5, 1e-6));
}

TEST(SelfAttention, CausalSeesWhatIsBefore) {
  Parameters parameters(0);
  const SelfAttention attention(8, 2, Scope(parameters));
  const c10::NoGradGuard no_grad;
  const auto x = Streams(2, {0, 1, 2}).normal({3, 6, 8});
  const auto before = at::ones({6, 6}, at::kBool).tril();
  const auto expected = attend_to_itself(attention, x, before);
  // At once, one by one, and in parts that begin with one position or many.
  for (const std::vector<int64_t>& parts :
       {std::vector<int64_t>{6}, {1, 1, 1, 1, 1, 1}, {1, 3, 2}, {4, 2}}) {
    KeyValue past;
    std::vector<Tensor> answers;
    for (const auto& part : x.split_with_sizes(parts, 1))
      answers.push_back(attention.causal(part, past));
    EXPECT_TRUE(at::cat(answers, 1).allclose(expected, 1e-5, 1e-6)) << parts;
    EXPECT_EQ(past.key.size(2), 6);
  }
}

TEST(CrossAttention, IsTheSoftmaxOfItsProducts) {
  Parameters parameters(0);
  const CrossAttention attention(8, 6, 2, Scope(parameters));
  const c10::NoGradGuard no_grad;
  const auto x = Streams(2, {0, 1, 2}).normal({3, 5, 8});
  const auto context = Streams(3, {0, 1, 2}).normal({3, 7, 6});
  const auto part = attention.key_value(context).chunk(2, 2);
  const auto all = at::ones({5, 7}, at::kBool);
  const auto expected = attention.out(attend(attention.query(x), part[0], part[1], all));
  EXPECT_TRUE(attention(x, attention.look_at(context)).allclose(expected, 1e-5, 1e-6));
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
