#include "bitdiff/nn/ar_transformer.h"

#include <cmath>
#include <vector>

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include "bitdiff/ar/ar_generate.h"
#include "bitdiff/ar/ar_loss.h"
#include "bitdiff/base/error.h"

namespace bitdiff {
namespace {

constexpr int64_t kRows = 4, kLength = 7, kCategories = 11;

/// A tiny network that looks at images of 5 positions, with texts for it.
struct Case {
  explicit Case(double dropout = 0, int64_t context_width = 6)
      : net(make_ar_transformer(
            {.layers = 2, .width = 16, .heads = 2, .mlp = 2, .dropout = dropout},
            {kCategories, kLength, context_width}, Scope(parameters))) {
    const Streams streams(1, {0, 1, 2, 3});
    tokens = (streams.uniform({kRows, kLength}) * kCategories).to(at::kLong);
    cond.context = streams.normal({kRows, 5, 6});
    // Biases and gains that start as constants could hide a mistake.
    const c10::NoGradGuard no_grad;
    for (auto& tensor : parameters.tensors())
      tensor.add_(Streams(2, {tensor.numel()}).normal({1, tensor.numel()}).view(tensor.sizes()),
                  0.2);
  }

  Tensor forward() const { return net->forward(tokens, cond); }

  Parameters parameters{0};
  std::unique_ptr<NextToken> net;
  Tensor tokens;
  Condition cond;
};

TEST(ArTransformer, SeesTheTokensBeforeAPositionAndNoOthers) {
  Case c;
  const auto before = c.forward();
  EXPECT_EQ(before.sizes(), (std::vector<int64_t>{kRows, kLength, kCategories}));
  EXPECT_EQ(before.scalar_type(), at::kFloat);
  for (int64_t j = 0; j < kLength; ++j) {
    Case changed;
    changed.tokens.select(1, j).add_(1).remainder_(kCategories);
    const auto difference = (changed.forward() - before).abs().amax({0, 2});
    EXPECT_LT(difference.slice(0, 0, j + 1).max().item<double>(), 1e-6) << j;
    if (j + 1 < kLength) {
      EXPECT_GT(difference.slice(0, j + 1).min().item<double>(), 1e-4) << j;
    }
  }
}

TEST(ArTransformer, SaysStepByStepWhatItSaysAtOnce) {
  const Case c;
  const c10::NoGradGuard no_grad;
  const auto at_once = c.forward();
  const auto state = c.net->start(kRows, c.cond);
  for (int64_t i = 0; i < kLength; ++i) {
    const auto logits = state->next(i == 0 ? Tensor() : c.tokens.select(1, i - 1));
    EXPECT_TRUE(logits.allclose(at_once.select(1, i), 1e-5, 1e-5)) << i;
  }
}

TEST(ArTransformer, GoesOnFromTheRowsThatWereSelected) {
  const Case c;
  const c10::NoGradGuard no_grad;
  const auto first = at::tensor({3, 0, 0, 1, 2});  // Before the first token, as in beam search.
  const auto later = at::tensor({1, 2, 2, 4, 0, 3});
  const auto state = c.net->start(kRows, c.cond);
  state->select(first);
  state->next({});
  for (int64_t i = 0; i < 2; ++i) state->next(c.tokens.select(1, i).index_select(0, first));
  state->select(later);
  const auto row = first.index_select(0, later);
  const auto logits = state->next(c.tokens.select(1, 2).index_select(0, row));
  const auto expected = c.forward().select(1, 3).index_select(0, row);
  EXPECT_TRUE(logits.allclose(expected, 1e-5, 1e-5));
}

// Texts of one row change places: the context stays and the past does not.
TEST(ArTransformer, TellsTextsOfOneRowApart) {
  const Case c;
  const c10::NoGradGuard no_grad;
  const auto state = c.net->start(kRows, c.cond);
  state->select(at::tensor({1, 1}));
  state->next({});
  state->next(at::tensor({4, 9}));
  state->select(at::tensor({1, 0}));
  const auto logits = state->next(at::tensor({5, 5}));
  const Condition cond{.label = {}, .context = c.cond.context.slice(0, 1, 2), .dropout = {}};
  const auto after = [&](int64_t token) {
    return c.net->forward(at::tensor({token, int64_t{5}, int64_t{0}}).view({1, 3}), cond)[0][2];
  };
  EXPECT_TRUE(logits[0].allclose(after(9), 1e-5, 1e-5));
  EXPECT_TRUE(logits[1].allclose(after(4), 1e-5, 1e-5));
  EXPECT_FALSE(logits[0].allclose(logits[1], 1e-2, 1e-2));
}

TEST(ArTransformer, LooksAtTheContextOfItsRow) {
  Case c;
  const auto before = c.forward();
  c.cond.context[2].add_(1);
  const auto difference = (c.forward() - before).abs().amax({1, 2});
  EXPECT_GT(difference[2].item<double>(), 1e-3);
  EXPECT_LT(difference.index_select(0, at::tensor({0, 1, 3})).max().item<double>(), 1e-6);
}

TEST(ArTransformer, NeedsAContextOnlyIfItLooksAtOne) {
  const Case with, without(0, 0);
  EXPECT_THROW(with.net->forward(with.tokens, {}), c10::Error);
  EXPECT_EQ(without.net->forward(without.tokens, {}).size(2), kCategories);
  const auto options = DecodeOptions{.method = DecodeMethod::kBeam};
  EXPECT_EQ(ar_generate(*without.net, {.length = kLength}, {}, options, Streams(0, {0, 1})).size(0),
            2);
}

TEST(ArTransformer, SendsAGradientToEveryParameter) {
  const Case c;
  ar_loss(*c.net, c.tokens, c.cond, {}).backward();
  for (const auto& [name, tensor] : c.parameters.named()) {
    ASSERT_TRUE(tensor.grad().defined()) << name;
    EXPECT_GT(tensor.grad().abs().max().item<double>(), 0) << name;
    // Fused optimizers walk both in the order of memory.
    EXPECT_EQ(tensor.grad().strides(), tensor.strides()) << name;
  }
}

TEST(ArTransformer, HasTheGradientOfItsFiniteDifferences) {
  const Case c;
  const auto loss = [&] { return ar_loss(*c.net, c.tokens, c.cond, {}) * 100; };
  loss().backward();
  for (const auto& [name, tensor] : c.parameters.named()) {
    const c10::NoGradGuard no_grad;
    const double norm = tensor.grad().norm().item<double>();
    const auto direction = tensor.grad() / norm;
    const double step = 3e-3;
    auto weight = tensor;
    const double high = (weight.add_(direction, step), loss().item<double>());
    const double low = (weight.add_(direction, -2 * step), loss().item<double>());
    weight.add_(direction, step);
    EXPECT_NEAR((high - low) / (2 * step), norm, 0.01 * norm + 2e-2) << name;
  }
}

TEST(ArTransformer, DropsOutOnlyWhenItHasStreams) {
  Case c(0.5);
  const auto without = c.forward();
  EXPECT_TRUE(without.equal(Case().forward()));
  c.cond.dropout = Streams(1, {0, 1, 2, 3});
  const auto dropped = c.forward();
  EXPECT_FALSE(dropped.allclose(without, 1e-2, 1e-2));
  EXPECT_TRUE(dropped.equal(c.forward()));
  // Never while it writes.
  const auto first = c.net->start(kRows, c.cond)->next({});
  EXPECT_TRUE(first.allclose(without.select(1, 0), 1e-5, 1e-5));
}

TEST(ArTransformer, StartsAlmostWithoutAnOpinion) {
  Parameters parameters(0);
  const auto net =
      make_ar_transformer({.layers = 2, .width = 64, .heads = 4}, {1000, 20}, Scope(parameters));
  const c10::NoGradGuard no_grad;
  const auto tokens = (Streams(0, {0, 1, 2}).uniform({3, 20}) * 1000).to(at::kLong);
  const auto logits = net->forward(tokens, {});
  EXPECT_NEAR(logits.std().item<double>(), 0.5, 0.05);
  EXPECT_NEAR(ar_loss(*net, tokens, {}, {}).item<double>(), std::log(1000.0), 0.5);
}

TEST(ArTransformer, SaysWhatIsWrong) {
  Parameters parameters(0, at::kMeta);
  EXPECT_THROW(make_ar_transformer({.width = 64, .heads = 7}, {8, 8}, Scope(parameters)),
               UsageError);
  const Case c;
  EXPECT_THROW(c.net->forward(at::zeros({kRows, kLength + 1}, at::kLong), c.cond), c10::Error);
}

}  // namespace
}  // namespace bitdiff
