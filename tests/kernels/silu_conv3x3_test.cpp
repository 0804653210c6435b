#include "bitdiff/kernels/silu_conv3x3.h"

#include <functional>
#include <string>
#include <vector>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace bitdiff::kernels {
namespace {

using Function = std::function<Tensor(const std::vector<Tensor>&, const Norm&, const Tensor&,
                                      const Tensor&, const std::optional<Residual>&)>;

Tensor channels_last(const Tensor& x) { return x.contiguous(at::MemoryFormat::ChannelsLast); }

struct Case {
  std::vector<int64_t> channels;  // Of the parts of x.
  int64_t groups, outputs;
  bool residual;
};

// A group that lies in both parts; parts that are narrow or too many for the fast twin.
const std::vector<Case> kCases = {{{64}, 16, 32, false},   {{32}, 8, 32, true},
                                  {{48, 16}, 2, 32, true}, {{16, 32}, 6, 16, false},
                                  {{12}, 3, 20, true},     {{16, 16, 16}, 4, 16, true}};

struct Input {
  explicit Input(const Case& c) {
    at::manual_seed(0);
    int64_t channels = 0;
    for (const auto part : c.channels) {
      tensors.push_back(channels_last(at::randn({3, part, 6, 5}) * 2 + 1));
      channels += part;
    }
    tensors.push_back(at::randn({3, channels}));
    tensors.push_back(at::randn({3, channels}));
    tensors.push_back(channels_last(at::randn({c.outputs, channels, 3, 3})));
    tensors.push_back(at::randn({c.outputs}));
    probe = channels_last(at::randn({3, c.outputs, 6, 5}));
    if (c.residual) tensors.push_back(channels_last(at::randn({3, c.outputs, 6, 5})));
  }
  std::vector<Tensor> tensors;  // Parts of x, norm's weight and bias, weight, bias, residual.
  Tensor probe;
};

// y and the gradients of sum(y * probe) by each tensor, computed in `type`.
std::vector<Tensor> run(const Function& function, const Case& c, at::ScalarType type) {
  const Input input(c);
  std::vector<Tensor> leaves;
  for (const auto& tensor : input.tensors)
    leaves.push_back(tensor.to(type).detach().requires_grad_());
  const auto parts = c.channels.size();
  std::optional<Residual> residual;
  if (c.residual) residual = Residual{leaves.back(), 0.75};
  const auto y = function({leaves.begin(), leaves.begin() + static_cast<int64_t>(parts)},
                          {c.groups, leaves[parts], leaves[parts + 1]}, leaves[parts + 2],
                          leaves[parts + 3], residual);
  (y * input.probe.to(type)).sum().backward();
  std::vector<Tensor> results{y.detach()};
  for (const auto& leaf : leaves) results.push_back(leaf.grad());
  return results;
}

TEST(SiluConv3x3, FastTwinAndItsGradientsEqualTheReference) {
  for (size_t i = 0; i < kCases.size(); ++i) {
    const auto fast = run(silu_conv3x3, kCases[i], at::kFloat);
    const auto exact = run(reference::silu_conv3x3, kCases[i], at::kDouble);
    ASSERT_EQ(fast.size(), exact.size());
    for (size_t j = 0; j < fast.size(); ++j) {
      const auto error = (fast[j] - exact[j]).norm().item<double>();
      EXPECT_LE(error, 4e-6 * exact[j].norm().item<double>()) << "case " << i << ", tensor " << j;
    }
  }
}

TEST(SiluConv3x3, GivesNoGradientThatNobodyAsksFor) {
  const Input input(kCases[0]);
  const auto x = input.tensors[0].detach();
  const auto weight = input.tensors[3].detach().requires_grad_();
  const auto y =
      silu_conv3x3({x}, {16, input.tensors[1], input.tensors[2]}, weight, input.tensors[4]);
  y.sum().backward();
  EXPECT_TRUE(weight.grad().defined());
  EXPECT_FALSE(x.grad().defined());
}

TEST(SiluConv3x3, IsItsFormulaOnOneNumber) {
  // One channel a group of one pixel is normalised to zero: silu(bias) through the kernel's middle.
  const auto x = channels_last(at::randn({1, 16, 1, 1}));
  const auto bias = at::linspace(-8, 8, 16).view({1, 16});
  auto weight = channels_last(at::zeros({16, 16, 3, 3}));
  for (int64_t c = 0; c < 16; ++c) weight[c][c][1][1] = 1;
  const auto y = silu_conv3x3({x}, {16, at::ones({1, 16}), bias}, weight, at::zeros(16));
  EXPECT_TRUE(y.flatten().allclose(bias.flatten() * at::sigmoid(bias.flatten()), 1e-5, 1e-6));
}

TEST(SiluConv3x3, RefusesWhatDoesNotFit) {
  const Input input(kCases[0]);
  const auto& t = input.tensors;
  EXPECT_THROW(silu_conv3x3({t[0], t[0]}, {16, t[1], t[2]}, t[3], t[4]), c10::Error);
  EXPECT_THROW(silu_conv3x3({t[0]}, {7, t[1], t[2]}, t[3], t[4]), c10::Error);
  EXPECT_THROW(silu_conv3x3({}, {16, t[1], t[2]}, t[3], t[4]), c10::Error);
  EXPECT_THROW(silu_conv3x3({t[0]}, {16, t[1], t[2]}, t[3], at::cat({t[4], t[4]})), c10::Error);
  EXPECT_THROW(silu_conv3x3({t[0]}, {16, t[1], t[2]}, t[3].slice(2, 0, 2), t[4]), c10::Error);
  const Residual smaller{t[0].slice(2, 0, 1), 1};
  EXPECT_THROW(silu_conv3x3({t[0]}, {16, t[1], t[2]}, t[3], t[4], smaller), c10::Error);
}

}  // namespace
}  // namespace bitdiff::kernels
