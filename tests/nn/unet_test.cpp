#include "bitdiff/nn/unet.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "bitdiff/base/autocast.h"
#include "bitdiff/base/error.h"
#include "bitdiff/kernels/tiles.h"
#include "bitdiff/nn/checkpointed.h"
#include "tests/nn/net_case.h"

namespace bitdiff {
namespace {

int64_t parameters_of(const UNetOptions& options, const UNetShape& shape) {
  Parameters parameters(0, at::kMeta);
  make_unet(options, shape, Scope(parameters));
  return parameters.count();
}

TEST(UNet, HasTheParametersOfTheAuthorsCodeForCifar10) {
  EXPECT_EQ(parameters_of({}, {.in_channels = 24, .out_channels = 24, .resolution = 32}), 52017432);
}

TEST(UNet, WidensForOneHotBitsAsTheAuthorsCode) {
  EXPECT_EQ(parameters_of({}, {768, 768, 32}), 57160704);
}

TEST(UNet, AnswersWithCategoriesThroughAConvolutionOf1x1) {
  const UNetShape rand{.in_channels = 24, .out_channels = 768, .resolution = 32, .out_kernel = 1};
  EXPECT_EQ(parameters_of({}, rand), 52017432 - (256 * 9 + 1) * 24 + (256 + 1) * 768);
}

TEST(UNet, HasTheParametersOfTheAuthorsCodeForImageNet64) {
  const UNetOptions options{.dim = 192, .mult = {1, 2, 3, 4}};
  EXPECT_EQ(parameters_of(options, {24, 24, 64, 1000}), 247189464);
}

TEST(UNet, NamesItsParametersReadably) {
  Parameters parameters(0, at::kMeta);
  make_unet({.mult = {1, 2}}, {24, 24, 32}, Scope(parameters));
  std::vector<std::string> names;
  for (const auto& [name, tensor] : parameters.named()) names.push_back(name);
  for (const char* name :
       {"time.dense0.weight", "conv_in.weight", "norm_in.bias", "down.0.block.1.conv0.weight",
        "down.1.attention.1.qkv.weight", "down.1.block.0.skip.weight", "down.0.shrink.weight",
        "up.0.block.0.scale_shift.weight", "up.0.grow.weight", "norm_out.weight", "conv_out.bias"})
    EXPECT_NE(std::find(names.begin(), names.end(), name), names.end()) << name;
}

TEST(UNet, HasAttentionOnlyAtTheResolutionsThatAskForIt) {
  Parameters parameters(0, at::kMeta);
  make_unet({.mult = {1, 1, 1}, .attention = {16}}, {24, 24, 32}, Scope(parameters));
  int64_t found = 0;
  for (const auto& [name, tensor] : parameters.named()) {
    if (name.find("attention") == std::string::npos) continue;
    EXPECT_TRUE(name.starts_with("down.1.") || name.starts_with("up.1.")) << name;
    ++found;
  }
  EXPECT_EQ(found, (3 + 4) * 6);
}

TEST(UNet, TakesAnySizeThatHalvesOftenEnough) {
  Parameters parameters(0);
  const auto net = make_unet({.dim = 8, .mult = {1, 2}, .blocks = 1}, {3, 5, 8}, Scope(parameters));
  const auto gamma = at::ones({2}, at::kDouble);
  const auto x = at::ones({2, 3, 6, 10});
  EXPECT_EQ(net->forward(x, x, gamma, {}).sizes(), IntArrayRef({2, 5, 6, 10}));
  const auto odd = at::ones({2, 3, 6, 9});
  EXPECT_THROW(net->forward(odd, odd, gamma, {}), c10::Error);
}

TEST(UNet, HasOneHeadWhereAHeadIsWiderThanTheStage) {
  Parameters parameters(0);
  const auto net = make_unet({.dim = 32, .mult = {1}, .blocks = 1, .attention = {8}}, {3, 3, 8},
                             Scope(parameters));
  const auto x = at::ones({1, 3, 8, 8});
  EXPECT_TRUE(net->forward(x, x, at::ones({1}, at::kDouble), {}).isfinite().all().item<bool>());
}

TEST(UNet, SaysWhatIsWrongWithItsOptions) {
  Parameters parameters(0, at::kMeta);
  const Scope scope(parameters);
  EXPECT_THROW(make_unet({.dim = 50}, {3, 3, 32}, scope), UsageError);
  EXPECT_THROW(make_unet({.mult = {}}, {3, 3, 32}, scope), UsageError);
  EXPECT_THROW(make_unet({.mult = {1, 1, 1}}, {3, 3, 10}, scope), UsageError);
}

TEST(UNet, CheckpointsItsActivationsWithoutChangingAGradient) {
  const auto gradients = [](bool checkpointing, double dropout) {
    const UNetOptions options{.dim = 32,
                              .mult = {1, 2},
                              .blocks = 1,
                              .attention = {4},
                              .dropout = dropout,
                              .activation_checkpointing = checkpointing};
    NetCase c([&](const Scope& scope) { return make_unet(options, {3, 3, 8}, scope); }, {3, 8, 8});
    c.wake();
    c.x_t.requires_grad_();
    const auto y = c.forward_with_dropout(1);
    y.square().sum().backward();
    std::vector<Tensor> results{y.detach(), c.x_t.grad()};
    for (const auto& tensor : c.parameters.tensors()) results.push_back(tensor.grad());
    return results;
  };
  for (const double dropout : {0.0, 0.3}) {
    const auto plain = gradients(false, dropout), checkpointed = gradients(true, dropout);
    ASSERT_EQ(plain.size(), checkpointed.size());
    for (size_t i = 0; i < plain.size(); ++i)
      EXPECT_LE((checkpointed[i] - plain[i]).norm().item<double>(),
                1e-5 * plain[i].norm().item<double>())
          << i;
  }
}

TEST(Checkpointed, ComputesOnceMoreUnderTheSameAutocast) {
  for (const bool bf16 : {true, false}) {
    std::vector<bool> asked;
    const Part part = [&](const std::vector<Tensor>& x) {
      asked.push_back(at::autocast::is_autocast_enabled(at::kCPU));
      return 2 * x[0];
    };
    const auto x = at::ones({3}).requires_grad_();
    const auto y = [&] {
      const Autocast autocast(bf16, at::kCPU);
      return checkpointed(part, {x});
    }();
    y.sum().backward();
    EXPECT_EQ(asked, (std::vector<bool>{bf16, bf16}));
    EXPECT_FALSE(at::autocast::is_autocast_enabled(at::kCPU));
  }
}

TEST(UNet, AnswersAndLearnsNearlyTheSameInBfloat16) {
  const auto results = [](bool bf16, bool checkpointing) {
    const UNetOptions options{.dim = 32,
                              .mult = {1, 2},
                              .blocks = 1,
                              .attention = {4},
                              .activation_checkpointing = checkpointing};
    NetCase c([&](const Scope& scope) { return make_unet(options, {3, 3, 8}, scope); }, {3, 8, 8});
    c.wake();
    const auto y = [&] {
      const Autocast autocast(bf16, at::kCPU);
      return c.forward().to(at::kFloat);
    }();
    y.square().sum().backward();
    std::vector<Tensor> tensors{y.detach()};
    for (const auto& tensor : c.parameters.tensors()) tensors.push_back(tensor.grad());
    return tensors;
  };
  const auto exact = results(false, false), near = results(true, false),
             again = results(true, true);
  EXPECT_FALSE(near[0].equal(exact[0]));
  double error = 0, size = 0, difference = 0;
  for (size_t i = 0; i < exact.size(); ++i) {
    error += (near[i] - exact[i]).square().sum().item<double>();
    difference += (again[i] - near[i]).square().sum().item<double>();
    size += exact[i].square().sum().item<double>();
  }
  EXPECT_LE(std::sqrt(error / size), 0.02);
  // LibTorch's layers hand on gradients that are rounded too, and sum them in another order.
  EXPECT_LE(std::sqrt(difference / size), kernels::has_tiles() ? 1e-5 : 0.005)
      << "what is computed once more is not the same";
}

TEST(UNet, AnswersNearlyTheSameInIntegers) {
  const UNetOptions options{.dim = 32, .mult = {1, 2}, .blocks = 1, .attention = {4}};
  NetCase c([&](const Scope& scope) { return make_unet(options, {3, 3, 8}, scope); }, {3, 8, 8});
  c.wake();
  const auto exact = c.forward();
  c.net->quantize();
  const auto near = c.forward();
  const auto difference = (near - exact).norm().item<double>() / exact.norm().item<double>();
  EXPECT_GT(difference, 1e-5);
  EXPECT_LE(difference, 0.03);
}

}  // namespace
}  // namespace bitdiff
