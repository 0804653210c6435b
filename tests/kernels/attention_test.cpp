#include "bitdiff/kernels/attention.h"

#include <cmath>
#include <functional>
#include <vector>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace bitdiff::kernels {
namespace {

struct Case {
  int64_t batch, length, channels, heads;
};

// Positions that fill blocks and vectors and that do not; a head too narrow for the fast twin.
const std::vector<Case> kCases = {
    {2, 64, 64, 2}, {1, 97, 128, 1}, {3, 1, 32, 2}, {2, 24, 48, 3}, {1, 50, 24, 3}};

Tensor input(const Case& c) {
  at::manual_seed(0);
  return at::randn({c.batch, c.length, 3 * c.channels}) * 2;
}

TEST(SelfAttention, FastTwinAndItsGradientEqualTheReference) {
  using Function = std::function<Tensor(const Tensor&, int64_t)>;
  for (const auto& c : kCases) {
    const auto run = [&](const Function& function, at::ScalarType type) {
      const auto qkv = input(c).to(type).requires_grad_();
      const auto y = function(qkv, c.heads);
      const auto probe = at::linspace(-1, 1, y.numel(), at::kDouble).view(y.sizes());
      (y * y * probe.to(type)).sum().backward();
      return std::vector<Tensor>{y.detach(), qkv.grad()};
    };
    const auto fast = run(self_attention, at::kFloat);
    const auto exact = run(reference::self_attention, at::kDouble);
    for (size_t i = 0; i < fast.size(); ++i) {
      const auto error = (fast[i] - exact[i]).norm().item<double>();
      EXPECT_LE(error, 3e-6 * exact[i].norm().item<double>()) << c.length << ", tensor " << i;
    }
  }
}

TEST(SelfAttention, OneKeyFarAboveTheRestIsCopied) {
  auto qkv = at::zeros({1, 40, 3 * 16});
  qkv.slice(2, 0, 16).fill_(30);
  qkv[0][7].slice(0, 16, 32).fill_(30);
  qkv.slice(2, 32, 48).copy_(at::arange(40, at::kFloat).view({1, 40, 1}));
  EXPECT_TRUE(self_attention(qkv, 1).equal(at::full({1, 40, 16}, 7.0F)));
}

TEST(SelfAttention, ScoresBeyondFloatsRangeOfExpStayFinite) {
  const auto y = self_attention(at::full({1, 32, 48}, 1e4F), 1);
  EXPECT_TRUE(y.allclose(at::full({1, 32, 16}, 1e4F)));
}

TEST(SelfAttention, RefusesWhatDoesNotSplit) {
  EXPECT_THROW(self_attention(at::zeros({1, 4, 48}), 5), c10::Error);
  EXPECT_THROW(self_attention(at::zeros({4, 48}), 1), c10::Error);
}

}  // namespace
}  // namespace bitdiff::kernels
