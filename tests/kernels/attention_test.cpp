#include "bitdiff/kernels/attention.h"

#include <functional>
#include <string>
#include <vector>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace bitdiff::kernels {
namespace {

struct Case {
  int64_t batch, queries, keys, channels, heads;
};

// Positions that fill blocks and vectors and that do not; heads wider than a panel; a head too
// narrow for the fast twin.
const std::vector<Case> kCases = {{2, 64, 64, 64, 2},  {1, 97, 24, 128, 1},  {3, 1, 70, 32, 2},
                                  {2, 24, 196, 48, 3}, {1, 100, 130, 80, 1}, {1, 50, 7, 24, 3}};

using Function = std::function<Tensor(const std::vector<Tensor>&)>;

// y and the gradients of a sum over y by each tensor, computed in `type`.
std::vector<Tensor> run(const Function& function, const std::vector<Tensor>& tensors,
                        at::ScalarType type) {
  std::vector<Tensor> leaves;
  for (const auto& tensor : tensors) leaves.push_back(tensor.to(type).detach().requires_grad_());
  const auto y = function(leaves);
  const auto probe = at::linspace(-1, 1, y.numel(), at::kDouble).view(y.sizes());
  (y * y * probe.to(type)).sum().backward();
  std::vector<Tensor> results{y.detach()};
  for (const auto& leaf : leaves) results.push_back(leaf.grad());
  return results;
}

void expect_equal(const Function& fast, const Function& plain, const std::vector<Tensor>& tensors,
                  const std::string& what) {
  const auto some = run(fast, tensors, at::kFloat), exact = run(plain, tensors, at::kDouble);
  for (size_t i = 0; i < some.size(); ++i) {
    const auto error = (some[i] - exact[i]).norm().item<double>();
    EXPECT_LE(error, 3e-6 * exact[i].norm().item<double>()) << what << ", tensor " << i;
  }
}

TEST(SelfAttention, FastTwinAndItsGradientEqualTheReference) {
  at::manual_seed(0);
  for (const auto& c : kCases) {
    const auto qkv = at::randn({c.batch, c.queries, 3 * c.channels}) * 2;
    for (const auto sight : {Sight::kAll, Sight::kUpToItself}) {
      expect_equal([&](const auto& x) { return self_attention(x[0], c.heads, sight); },
                   [&](const auto& x) { return reference::self_attention(x[0], c.heads, sight); },
                   {qkv}, std::to_string(c.queries));
    }
  }
}

TEST(CrossAttention, FastTwinAndItsGradientEqualTheReference) {
  at::manual_seed(0);
  for (const auto& c : kCases) {
    expect_equal([&](const auto& x) { return cross_attention(x[0], x[1], c.heads); },
                 [&](const auto& x) { return reference::cross_attention(x[0], x[1], c.heads); },
                 {at::randn({c.batch, c.queries, c.channels}) * 2,
                  at::randn({c.batch, c.keys, 2 * c.channels}) * 2},
                 std::to_string(c.queries));
  }
}

TEST(SelfAttention, DoesNotSeeWhatComesLater) {
  at::manual_seed(0);
  const auto qkv = at::randn({1, 70, 3 * 32});
  auto changed = qkv.clone();
  changed.slice(1, 50).fill_(1e6F);
  const auto before = self_attention(qkv, 2, Sight::kUpToItself);
  const auto after = self_attention(changed, 2, Sight::kUpToItself);
  EXPECT_TRUE(after.slice(1, 0, 50).equal(before.slice(1, 0, 50)));
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
  EXPECT_THROW(cross_attention(at::zeros({2, 4, 16}), at::zeros({3, 4, 32}), 1), c10::Error);
  EXPECT_THROW(cross_attention(at::zeros({2, 4, 16}), at::zeros({2, 4, 64}), 1), c10::Error);
}

}  // namespace
}  // namespace bitdiff::kernels
