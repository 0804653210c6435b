#include "bitdiff/nn/unet.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include "bitdiff/base/error.h"

namespace bitdiff {
namespace {

UNetOptions tiny_options() {
  return {.dim = 8, .mult = {1, 2}, .blocks = 1, .attention = {4}, .head_dim = 8};
}

UNetShape tiny_shape() { return {.in_channels = 3, .out_channels = 3, .resolution = 8}; }

Condition labelled(const Tensor& label) { return {.label = label, .dropout = {}}; }

/// A network and what it is fed: 4 rows.
struct Case {
  explicit Case(const UNetOptions& options = tiny_options(), UNetShape shape = tiny_shape())
      : net(make_unet(options, shape, Scope(parameters))) {
    const Streams streams(3, {0, 1, 2, 3});
    const auto side = shape.resolution;
    x_t = streams.fork(Purpose::kNoise).normal({4, shape.in_channels, side, side});
    x0_prev = streams.fork(Purpose::kEval).normal({4, shape.in_channels, side, side});
    gamma = streams.fork(Purpose::kTime).uniform({4}).to(at::kDouble);
  }

  /// Without this the silent layers hide everything before them.
  void wake() {
    const c10::NoGradGuard no_grad;
    for (auto& tensor : parameters.tensors())
      if (tensor.abs().max().item<double>() < 1e-3)
        tensor.copy_(Streams(tensor.numel(), {0}).normal({1, tensor.numel()}).view(tensor.sizes()) *
                     0.1);
  }

  Tensor forward(const Condition& cond = {}) const {
    return net->forward(x_t, x0_prev, gamma, cond);
  }

  Parameters parameters{0};
  std::unique_ptr<Denoiser> net;
  Tensor x_t, x0_prev, gamma;
};

int64_t parameters_of(const UNetOptions& options, const UNetShape& shape) {
  Parameters parameters(0, at::kMeta);
  make_unet(options, shape, Scope(parameters));
  return parameters.count();
}

TEST(UNet, HasTheParametersOfTheAuthorsCodeForCifar10) {
  EXPECT_EQ(parameters_of({}, {.in_channels = 24, .out_channels = 24, .resolution = 32}), 52017432);
}

TEST(UNet, HasTheParametersOfTheAuthorsCodeForImageNet64) {
  EXPECT_EQ(
      parameters_of({.dim = 192, .mult = {1, 2, 3, 4}},
                    {.in_channels = 24, .out_channels = 24, .resolution = 64, .classes = 1000}),
      247189464);
}

TEST(UNet, NamesItsParametersReadably) {
  Parameters parameters(0, at::kMeta);
  make_unet({.mult = {1, 2}}, {.in_channels = 24, .out_channels = 24, .resolution = 32},
            Scope(parameters));
  std::vector<std::string> names;
  for (const auto& [name, tensor] : parameters.named()) names.push_back(name);
  for (const char* name :
       {"time.dense0.weight", "conv_in.weight", "norm_in.bias", "down.0.block.1.conv0.weight",
        "down.1.attention.1.qkv.weight", "down.1.block.0.skip.weight", "down.0.shrink.weight",
        "up.0.block.0.scale_shift.weight", "up.0.grow.weight", "norm_out.weight", "conv_out.bias"})
    EXPECT_NE(std::find(names.begin(), names.end(), name), names.end()) << name;
}

TEST(UNet, AnswersWithAlmostNothingBeforeTraining) {
  const Case c;
  const auto y = c.forward();
  EXPECT_EQ(y.sizes(), IntArrayRef({4, 3, 8, 8}));
  EXPECT_EQ(y.scalar_type(), at::kFloat);
  EXPECT_LT(y.abs().max().item<double>(), 1e-3);
  EXPECT_GT(y.abs().max().item<double>(), 0);
}

TEST(UNet, TakesAnySizeThatHalvesOftenEnough) {
  Case c;
  const auto x = at::ones({2, 3, 6, 10});
  EXPECT_EQ(c.net->forward(x, x, at::ones({2}, at::kDouble), {}).sizes(), x.sizes());
  const auto odd = at::ones({2, 3, 6, 9});
  EXPECT_THROW(c.net->forward(odd, odd, at::ones({2}, at::kDouble), {}), c10::Error);
}

TEST(UNet, SendsAGradientToEveryParameter) {
  Case c({.dim = 8, .mult = {1, 2}, .blocks = 1, .attention = {4}, .head_dim = 8},
         {.in_channels = 3, .out_channels = 3, .resolution = 8, .classes = 5});
  c.wake();
  c.forward(labelled(at::tensor({0, 1, 2, -1}))).square().sum().backward();
  for (const auto& [name, tensor] : c.parameters.named()) {
    ASSERT_TRUE(tensor.grad().defined()) << name;
    EXPECT_GT(tensor.grad().abs().max().item<double>(), 0) << name;
    // Fused optimizers walk both in the order of memory.
    EXPECT_EQ(tensor.grad().strides(), tensor.strides()) << name;
  }
}

TEST(UNet, HasTheGradientOfItsFiniteDifferences) {
  Case c;
  c.wake();
  const auto loss = [&] { return c.forward().to(at::kDouble).square().sum(); };
  loss().backward();
  for (const auto& [name, tensor] : c.parameters.named()) {
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

TEST(UNet, TreatsLabelMinusOneAsNoLabel) {
  auto shape = tiny_shape();
  shape.classes = 5;
  Case c(tiny_options(), shape);
  c.wake();
  const auto none = c.forward(labelled(at::full({4}, -1, at::kLong)));
  EXPECT_TRUE(none.equal(c.forward()));
  const auto mixed = c.forward(labelled(at::tensor({-1, 3, -1, 3})));
  EXPECT_TRUE(mixed[0].allclose(none[0]));
  EXPECT_FALSE(mixed[1].allclose(none[1]));
}

TEST(UNet, IgnoresLabelsWithoutClasses) {
  Case c;
  c.wake();
  EXPECT_TRUE(c.forward(labelled(at::tensor({0, 1, 2, 3}))).equal(c.forward()));
}

TEST(UNet, TreatsEachRowAlone) {
  Case c;
  c.wake();
  const auto before = c.forward();
  c.x_t[2].zero_();
  c.gamma[3].fill_(0.5);
  const auto after = c.forward();
  EXPECT_TRUE(after.slice(0, 0, 2).allclose(before.slice(0, 0, 2)));
  EXPECT_FALSE(after[2].allclose(before[2]));
  EXPECT_FALSE(after[3].allclose(before[3]));
}

TEST(UNet, SeesTheEstimateAndTheClock) {
  Case c;
  c.wake();
  const auto y = c.forward();
  EXPECT_FALSE(y.allclose(c.net->forward(c.x_t, at::zeros_like(c.x0_prev), c.gamma, {})));
  auto options = tiny_options();
  options.time = TimeInput::kLogSnr;
  Case other(options);
  other.wake();
  EXPECT_FALSE(y.allclose(other.forward()));
}

TEST(UNet, AnswersAlikeWithAndWithoutGradient) {
  Case c;
  c.wake();
  const auto with = c.forward();
  const c10::NoGradGuard no_grad;
  EXPECT_TRUE(with.allclose(c.forward(), 1e-5, 1e-6));
}

TEST(UNet, DropsOutOnlyWhenItHasStreams) {
  auto options = tiny_options();
  options.dropout = 0.5;
  Case c(options);
  c.wake();
  const auto dropped = [&](uint64_t seed) {
    return c.forward({.label = {}, .dropout = Streams(seed, {0, 1, 2, 3})});
  };
  EXPECT_TRUE(dropped(1).equal(dropped(1)));
  EXPECT_FALSE(dropped(1).equal(dropped(2)));
  EXPECT_FALSE(dropped(1).equal(c.forward()));
}

TEST(UNet, StartsFromTheSameWeightsForTheSameSeed) {
  const Case a, b;
  for (size_t i = 0; i < a.parameters.named().size(); ++i)
    EXPECT_TRUE(a.parameters.tensors()[i].equal(b.parameters.tensors()[i]));
}

TEST(UNet, SaysWhatIsWrongWithItsOptions) {
  Parameters parameters(0, at::kMeta);
  EXPECT_THROW(make_unet({.dim = 50}, {3, 3, 32}, Scope(parameters)), UsageError);
  EXPECT_THROW(make_unet({.mult = {}}, {3, 3, 32}, Scope(parameters)), UsageError);
  EXPECT_THROW(make_unet({.mult = {1, 1, 1}}, {3, 3, 10}, Scope(parameters)), UsageError);
}

}  // namespace
}  // namespace bitdiff
