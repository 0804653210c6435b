#include "bitdiff/nn/transformer.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "bitdiff/base/error.h"
#include "tests/nn/net_case.h"

namespace bitdiff {
namespace {

NetCase tiny() {
  const TransformerOptions options{.layers = 2, .width = 16, .heads = 2, .mlp = 2};
  return {[&](const Scope& scope) {
            return make_transformer(options, {3, 3, 12}, scope);
          },
          {3, 12}};
}

TEST(Transformer, MovesWithItsPositions) {
  auto c = tiny();
  c.wake();
  const auto order = at::tensor({3, 0, 11, 5, 1, 2, 4, 10, 9, 8, 7, 6});
  const auto y = c.forward();
  c.x_t = c.x_t.index_select(2, order);
  c.x0_prev = c.x0_prev.index_select(2, order);
  EXPECT_FALSE(c.forward().allclose(y.index_select(2, order), 1e-4, 1e-5));
  for (auto& [name, tensor] : c.parameters.named()) {
    const c10::NoGradGuard no_grad;
    auto positions = tensor;
    if (name == "positions") positions.copy_(tensor.index_select(0, order));
  }
  EXPECT_TRUE(c.forward().allclose(y.index_select(2, order), 1e-4, 1e-5));
}

TEST(Transformer, LooksInBothDirections) {
  auto c = tiny();
  c.wake();
  const auto y = c.forward();
  c.x_t.select(2, 5).fill_(3);
  const auto changed = (c.forward() - y).abs().amax({0, 1});
  EXPECT_GT(changed.min().item<double>(), 1e-6);
}

TEST(Transformer, TakesShorterSequences) {
  const auto c = tiny();
  const auto x = at::ones({2, 3, 7});
  const auto gamma = at::ones({2}, at::kDouble);
  EXPECT_EQ(c.net->forward(x, x, gamma, {}).sizes(), x.sizes());
  const auto longer = at::ones({2, 3, 13});
  EXPECT_THROW(c.net->forward(longer, longer, gamma, {}), c10::Error);
}

TEST(Transformer, SaysWhatIsWrongWithItsOptions) {
  Parameters parameters(0, at::kMeta);
  const Scope scope(parameters);
  EXPECT_THROW(make_transformer({.width = 63, .heads = 7}, {3, 3, 8}, scope), UsageError);
  EXPECT_THROW(make_transformer({.width = 64, .heads = 7}, {3, 3, 8}, scope), UsageError);
  EXPECT_THROW(make_transformer({.width = 64, .heads = 8}, {3, 3, 8}, scope)->quantize(),
               UsageError);
}

/// The codes of 8 tokens in 3 bits of -1 and +1.
Tensor codes_of_eight() {
  const auto bit = at::tensor({1, 2, 4});
  return at::arange(8).unsqueeze(1).bitwise_and(bit).ne(0).to(at::kFloat) * 2 - 1;
}

NetCase with_tokens(const Tensor& codes) {
  const TransformerOptions options{
      .layers = 1, .width = 16, .heads = 2, .mlp = 2, .embedding = BitEmbedding::kTokens};
  return {[&](const Scope& scope) {
            return make_transformer(
                options, {.in_channels = 3, .out_channels = 8, .length = 12, .codes = codes},
                scope);
          },
          {3, 12}};
}

TEST(TransformerWithTokens, KnowsATokenByItsBitsNotByItsNumber) {
  auto c = with_tokens(codes_of_eight());
  c.wake();
  const auto order = at::tensor({3, 0, 7, 5, 1, 2, 4, 6});
  auto renumbered = with_tokens(codes_of_eight().index_select(0, order));
  const c10::NoGradGuard no_grad;
  for (size_t i = 0; i < c.parameters.named().size(); ++i) {
    const auto& [name, value] = c.parameters.named()[i];
    const bool of_tokens = name == "embedding" || name == "bias_out" || name == "prior";
    renumbered.parameters.tensors()[i].copy_(of_tokens ? value.index_select(0, order) : value);
  }
  EXPECT_TRUE(renumbered.forward().allclose(c.forward().index_select(1, order), 1e-4, 1e-5));
  EXPECT_FALSE(renumbered.forward().allclose(c.forward(), 1e-2, 1e-2));
}

TEST(TransformerWithTokens, SeesTheVectorOfATokenWithoutNoiseAlone) {
  auto c = with_tokens(codes_of_eight());
  c.wake();
  const auto tokens = at::arange(12).remainder(8);
  c.x_t = codes_of_eight().index_select(0, tokens).t().expand({4, 3, 12}).contiguous();
  c.gamma = at::ones({4}, at::kDouble);
  const auto y = c.forward();
  const c10::NoGradGuard no_grad;
  for (auto& [name, tensor] : c.parameters.named()) {
    auto value = tensor;
    if (name == "prior") value.select(0, 5).fill_(10);  // What the bits say outweighs it.
  }
  EXPECT_TRUE(c.forward().allclose(y, 1e-4, 1e-5));
  c.gamma.fill_(0.1);
  EXPECT_FALSE(c.forward().allclose(y, 1e-2, 1e-2));
}

TEST(Transformer, MixesInItsNeighboursAlone) {
  const TransformerOptions options{.layers = 1, .width = 16, .heads = 2, .mlp = 2, .neighbours = 2};
  NetCase c(
      [&](const Scope& scope) {
        return make_transformer(options, {3, 3, 12}, scope);
      },
      {3, 12});
  c.wake();
  const c10::NoGradGuard no_grad;
  for (auto& [name, tensor] : c.parameters.named()) {
    auto value = tensor;
    if (name == "block.0.attention.out.weight") value.zero_();
  }
  const auto y = c.forward();
  c.x_t.select(2, 5).fill_(3);
  const auto changed = (c.forward() - y).abs().amax({0, 1}).gt(1e-6);
  EXPECT_TRUE(changed.equal(at::arange(12).ge(3) & at::arange(12).le(7))) << changed;
}

TEST(Transformer, LookingOnceIsLookingAtEachCall) {
  Parameters parameters(0);
  const auto net = make_transformer({.layers = 2, .width = 32, .heads = 2, .mlp = 2},
                                    {3, 3, 12, 0, 32}, Scope(parameters));
  const Streams streams(0, {0, 1});
  const Condition cond{.label = {}, .context = streams.normal({2, 5, 32})};
  const auto x_t = streams.fork(Purpose::kNoise).normal({2, 3, 12});
  const auto gamma = at::tensor({0.5, 0.9}, at::kDouble);
  const auto anew = net->forward(x_t, at::zeros_like(x_t), gamma, cond);
  EXPECT_TRUE(net->forward(x_t, at::zeros_like(x_t), gamma, net->look(cond)).equal(anew));
  const Condition other{.label = {}, .context = cond.context + 1};
  EXPECT_FALSE(net->forward(x_t, at::zeros_like(x_t), gamma, net->look(other)).equal(anew));
  EXPECT_THROW(net->forward(x_t, at::zeros_like(x_t), gamma, {}), c10::Error);
}

}  // namespace
}  // namespace bitdiff
