#include "bitdiff/kernels/group_norm.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "bitdiff/kernels/math.h"

namespace bitdiff::kernels {
namespace {

using Function =
    std::function<Tensor(const Tensor&, int64_t, const Tensor&, const Tensor&, Activation)>;

struct Case {
  std::vector<int64_t> shape;
  int64_t groups;
};

const std::vector<Case> kCases = {{{3, 64, 8, 8}, 16}, {{2, 12, 5, 7}, 3}, {{1, 6, 1, 9}, 6},
                                  {{4, 33, 3, 2}, 1},  {{2, 8, 1, 1}, 2},  {{0, 8, 4, 4}, 2}};

Tensor channels_last(const Tensor& x) { return x.contiguous(at::MemoryFormat::ChannelsLast); }

struct Input {
  explicit Input(IntArrayRef shape) {
    at::manual_seed(0);
    x = channels_last(at::randn(shape) * 3 + 2);
    probe = channels_last(at::randn(shape));
    weight = at::randn({shape[0], shape[1]});
    bias = at::randn({shape[0], shape[1]});
  }
  Tensor x, probe, weight, bias;
};

// y and the gradients of sum(y * probe) by x, weight and bias, computed in `type`.
std::vector<Tensor> run(const Function& norm, const Input& in, int64_t groups,
                        Activation activation, at::ScalarType type) {
  const auto leaf = [&](const Tensor& t) { return t.to(type).detach().requires_grad_(); };
  const auto x = leaf(in.x), weight = leaf(in.weight), bias = leaf(in.bias);
  const auto y = norm(x, groups, weight, bias, activation);
  (y * in.probe.to(type)).sum().backward();
  return {y, x.grad(), weight.grad(), bias.grad()};
}

TEST(GroupNorm, FastTwinAndItsGradientEqualTheReference) {
  const std::vector<std::string> names = {"y", "x", "weight", "bias"};
  for (const auto activation : {Activation::kNone, Activation::kSilu}) {
    for (const auto& [shape, groups] : kCases) {
      const Input input(shape);
      const Function norm = [](const Tensor& x, const auto&... rest) {
        return group_norm(x, rest...);
      };
      const auto fast = run(norm, input, groups, activation, at::kFloat);
      const auto exact = run(reference::group_norm, input, groups, activation, at::kDouble);
      for (size_t i = 0; i < names.size(); ++i) {
        ASSERT_EQ(fast[i].sizes(), exact[i].sizes()) << names[i];
        const auto error = (fast[i] - exact[i]).norm().item<double>();
        EXPECT_LE(error, 2e-6 * exact[i].norm().item<double>() + 1e-5) << names[i] << shape;
      }
    }
  }
}

TEST(GroupNorm, ReferenceIsTheFormula) {
  const auto x = at::tensor({1.0, 3.0, 5.0, 7.0}).view({1, 2, 1, 2});
  const auto weight = at::tensor({1.0, 2.0}).view({1, 2});
  const auto bias = at::tensor({0.0, 1.0}).view({1, 2});
  // Mean 4 and variance 5; two groups: means 2 and 6, variances 1.
  const auto one = at::tensor({-3.0, -1.0, 2.0, 6.0}) / std::sqrt(5.0);
  const auto shift = at::tensor({0.0, 0.0, 1.0, 1.0});
  EXPECT_TRUE(reference::group_norm(x, 1, weight, bias).flatten().allclose(one + shift, 1e-5));
  const auto two = at::tensor({-1.0, 1.0, -2.0, 2.0});
  EXPECT_TRUE(reference::group_norm(x, 2, weight, bias).flatten().allclose(two + shift, 1e-5));
}

TEST(GroupNorm, KeepsItsDigitsFarFromZero) {
  Input input({2, 16, 16, 16});
  const auto near = group_norm(input.x, 4, input.weight, input.bias);
  const auto far = group_norm(input.x + 1000, 4, input.weight, input.bias);
  EXPECT_TRUE(far.allclose(near, 0, 2e-3)) << (far - near).abs().max();
}

TEST(GroupNorm, KeepsTypeAndOrderOfMemory) {
  const Input input({2, 16, 4, 4});
  for (const auto type : {at::kFloat, at::kBFloat16}) {
    for (const auto& x : {input.x, input.x.contiguous()}) {
      const auto y = group_norm(x.to(type), 4, input.weight, input.bias);
      EXPECT_EQ(y.scalar_type(), type);
      EXPECT_EQ(y.strides(), x.strides());
      const auto expected = reference::group_norm(x, 4, input.weight, input.bias);
      EXPECT_TRUE(y.to(at::kFloat).allclose(expected, 0, type == at::kFloat ? 1e-5 : 0.05));
    }
  }
}

/// The fastest of a few runs, in seconds.
double seconds_of(const Input& input, Activation activation) {
  using Clock = std::chrono::steady_clock;
  double best = 1e9;
  for (int run = 0; run < 9; ++run) {
    const auto start = Clock::now();
    group_norm(input.x, 4, input.weight, input.bias, activation);
    best = std::min(best, std::chrono::duration<double>(Clock::now() - start).count());
  }
  return best;
}

// Compilers may make a case of its own of what a clamped exponential ends in, computed for all and
// chosen by none: products with numbers so small that each takes the processor a hundred cycles.
TEST(GroupNorm, SiluComputesNoNumbersTooSmallForTheProcessor) {
#ifndef NDEBUG
  GTEST_SKIP() << "without optimisation nothing is vectorised";
#endif
  const Input input({4, 64, 32, 32});
  EXPECT_LT(seconds_of(input, Activation::kSilu), 4 * seconds_of(input, Activation::kNone));
}

TEST(Sigmoid, IsThatOfLimitsBeyondThem) {
  EXPECT_EQ(sigmoid(0), 0.5F);
  for (const float x : {1e-30F, -1e-30F}) EXPECT_EQ(sigmoid(x), 0.5F);
  for (const float x : {-3.0F, 3.0F, 20.0F, -20.0F, -86.0F})
    EXPECT_NEAR(sigmoid(x), 1 / (1 + std::exp(-static_cast<double>(x))),
                3e-7 / (1 + std::exp(-static_cast<double>(x))));
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(sigmoid(kInfinity), 1);
  EXPECT_EQ(sigmoid(-kInfinity), sigmoid(-87));
  EXPECT_TRUE(std::isnan(silu(std::numeric_limits<float>::quiet_NaN())));
  EXPECT_TRUE(std::isnan(silu_slope(std::numeric_limits<float>::quiet_NaN())));
}

TEST(GroupNorm, RefusesShapesThatDoNotFit) {
  const auto x = at::zeros({2, 6, 4, 4}), row = at::zeros({2, 6});
  EXPECT_THROW(group_norm(x, 4, row, row), c10::Error);
  EXPECT_THROW(group_norm(x, 3, row[0], row), c10::Error);
  EXPECT_THROW(group_norm(x[0], 3, row, row), c10::Error);
  EXPECT_THROW(group_norm({x, at::zeros({2, 6, 4, 3})}, 3, at::zeros({2, 12}), at::zeros({2, 12})),
               c10::Error)
      << "parts of two sizes";
  EXPECT_THROW(group_norm(at::zeros({2, 0, 4, 4}), 3, row.slice(1, 0, 0), row.slice(1, 0, 0)),
               c10::Error);
}

}  // namespace
}  // namespace bitdiff::kernels
