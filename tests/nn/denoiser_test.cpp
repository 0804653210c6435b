// What holds for every network.

#include <functional>
#include <string>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "bitdiff/nn/transformer.h"
#include "bitdiff/nn/unet.h"
#include "tests/nn/net_case.h"

namespace bitdiff {
namespace {

struct Choice {
  int64_t classes = 0;
  double dropout = 0;
  TimeInput time = TimeInput::kGamma;
  BitEmbedding embedding = BitEmbedding::kLinear;
  int64_t neighbours = 0;
};

struct Kind {
  std::string name;
  std::function<std::unique_ptr<NetCase>(const Choice&)> make;
};

std::unique_ptr<NetCase> tiny_unet(const Choice& choice) {
  const UNetOptions options{.dim = 8,
                            .mult = {1, 2},
                            .blocks = 1,
                            .attention = {4},
                            .head_dim = 8,
                            .dropout = choice.dropout,
                            .time = choice.time};
  const UNetShape shape{3, 3, 8, choice.classes};
  return std::make_unique<NetCase>(
      [&](const Scope& scope) { return make_unet(options, shape, scope); },
      std::vector<int64_t>{3, 8, 8});
}

std::unique_ptr<NetCase> tiny_transformer(const Choice& choice) {
  const TransformerOptions options{.layers = 2,
                                   .width = 16,
                                   .heads = 2,
                                   .mlp = 2,
                                   .dropout = choice.dropout,
                                   .embedding = choice.embedding,
                                   .neighbours = choice.neighbours,
                                   .time = choice.time};
  TransformerShape shape{3, 3, 12, choice.classes};
  if (choice.embedding == BitEmbedding::kTokens) shape.codes = at::eye(3) * 2 - 1;
  return std::make_unique<NetCase>(
      [&](const Scope& scope) { return make_transformer(options, shape, scope); },
      std::vector<int64_t>{3, 12});
}

class EveryNetwork : public testing::TestWithParam<Kind> {
 protected:
  std::unique_ptr<NetCase> make(const Choice& choice = {}) const { return GetParam().make(choice); }
  std::unique_ptr<NetCase> awake(const Choice& choice = {}) const {
    auto c = make(choice);
    c->wake();
    return c;
  }
};

TEST_P(EveryNetwork, AnswersWithAlmostNothingBeforeTraining) {
  if (GetParam().name == "TransformerWithTokens")
    GTEST_SKIP() << "its answers are products with the vectors that go in";
  const auto c = make();
  const auto y = c->forward();
  EXPECT_EQ(y.sizes(), c->x_t.sizes());
  EXPECT_EQ(y.scalar_type(), at::kFloat);
  EXPECT_TRUE(y.is_contiguous());
  EXPECT_LT(y.abs().max().item<double>(), 1e-4);
  EXPECT_GT(y.abs().max().item<double>(), 0);
}

TEST_P(EveryNetwork, SendsAGradientToEveryParameter) {
  const auto c = awake({.classes = 5});
  c->forward(at::tensor({0, 1, 2, -1})).square().sum().backward();
  for (const auto& [name, tensor] : c->parameters.named()) {
    ASSERT_TRUE(tensor.grad().defined()) << name;
    EXPECT_GT(tensor.grad().abs().max().item<double>(), 0) << name;
    // Fused optimizers walk both in the order of memory.
    EXPECT_EQ(tensor.grad().strides(), tensor.strides()) << name;
  }
}

TEST_P(EveryNetwork, HasTheGradientOfItsFiniteDifferences) {
  const auto c = awake();
  const auto loss = [&] { return c->forward().to(at::kDouble).square().sum(); };
  loss().backward();
  for (const auto& [name, tensor] : c->parameters.named()) {
    const c10::NoGradGuard no_grad;
    const auto direction = tensor.grad() / tensor.grad().norm();
    const double step = 3e-3;
    auto weight = tensor;
    const double high = (weight.add_(direction, step), loss().item<double>());
    const double low = (weight.add_(direction, -2 * step), loss().item<double>());
    weight.add_(direction, step);
    const double expected = tensor.grad().norm().item<double>();
    EXPECT_NEAR((high - low) / (2 * step), expected, 0.01 * expected + 1e-2) << name;
  }
}

TEST_P(EveryNetwork, TreatsLabelMinusOneAsNoLabel) {
  const auto c = awake({.classes = 5});
  const auto none = c->forward(at::full({4}, -1, at::kLong));
  EXPECT_TRUE(none.equal(c->forward()));
  const auto mixed = c->forward(at::tensor({-1, 3, -1, 3}));
  EXPECT_TRUE(mixed[0].allclose(none[0]));
  EXPECT_FALSE(mixed[1].allclose(none[1]));
}

TEST_P(EveryNetwork, IgnoresLabelsWithoutClasses) {
  const auto c = awake();
  EXPECT_TRUE(c->forward(at::tensor({0, 1, 2, 3})).equal(c->forward()));
}

TEST_P(EveryNetwork, RefusesALabelThatIsNoClass) {
  const auto c = make({.classes = 5});
  EXPECT_THROW(c->forward(at::tensor({0, 1, 2, 5})), c10::Error);
  EXPECT_THROW(c->forward(at::tensor({0, 1, -2, 3})), c10::Error);
  EXPECT_THROW(c->forward(at::tensor({0, 1})), c10::Error);
}

TEST_P(EveryNetwork, TreatsEachRowAlone) {
  const auto c = awake();
  const auto before = c->forward();
  c->x_t[2].zero_();
  c->gamma[3].fill_(0.5);
  const auto after = c->forward();
  EXPECT_TRUE(after.slice(0, 0, 2).allclose(before.slice(0, 0, 2)));
  EXPECT_FALSE(after[2].allclose(before[2]));
  EXPECT_FALSE(after[3].allclose(before[3]));
}

TEST_P(EveryNetwork, SeesTheEstimateAndTheClock) {
  const auto c = awake();
  const auto y = c->forward();
  EXPECT_FALSE(y.allclose(awake({.time = TimeInput::kLogSnr})->forward()));
  c->x0_prev.zero_();
  EXPECT_FALSE(y.allclose(c->forward()));
}

TEST_P(EveryNetwork, AnswersAlikeWithAndWithoutGradient) {
  const auto c = awake();
  const auto with = c->forward();
  const c10::NoGradGuard no_grad;
  EXPECT_TRUE(with.allclose(c->forward(), 1e-5, 1e-6));
}

TEST_P(EveryNetwork, DropsOutOnlyWhenItHasStreams) {
  const auto c = awake({.dropout = 0.5});
  const auto dropped = c->forward_with_dropout(1);
  EXPECT_TRUE(dropped.equal(c->forward_with_dropout(1)));
  EXPECT_FALSE(dropped.equal(c->forward_with_dropout(2)));
  EXPECT_TRUE(c->forward().equal(awake()->forward()));
}

TEST_P(EveryNetwork, StartsFromTheSameWeightsForTheSameSeed) {
  const auto a = make(), b = make();
  for (size_t i = 0; i < a->parameters.named().size(); ++i)
    EXPECT_TRUE(a->parameters.tensors()[i].equal(b->parameters.tensors()[i]));
}

INSTANTIATE_TEST_SUITE_P(Networks, EveryNetwork,
                         testing::Values(Kind{"UNet", tiny_unet},
                                         Kind{"Transformer", tiny_transformer},
                                         Kind{"TransformerWithMlp",
                                              [](Choice choice) {
                                                choice.embedding = BitEmbedding::kMlp;
                                                return tiny_transformer(choice);
                                              }},
                                         Kind{"TransformerWithTokens",
                                              [](Choice choice) {
                                                choice.embedding = BitEmbedding::kTokens;
                                                choice.neighbours = 2;
                                                return tiny_transformer(choice);
                                              }}),
                         [](const auto& kind) { return kind.param.name; });

}  // namespace
}  // namespace bitdiff
