#include "bitdiff/kernels/conv3x3.h"

#include <functional>
#include <string>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

namespace bitdiff::kernels {
namespace {

using Conv = std::function<Tensor(const Tensor&, const Tensor&, const Tensor&)>;

Tensor channels_last(const Tensor& x) { return x.contiguous(at::MemoryFormat::ChannelsLast); }

struct Case {
  std::vector<int64_t> x;
  int64_t outputs;
};

// Whole tiles; sides that tiles do not divide; narrower and wider than a panel and no multiple of
// it; deeper than a block of the product; one pixel; no image; more tiles than a chunk.
const std::vector<Case> kCases = {{{2, 64, 8, 8}, 64},   {{3, 16, 7, 5}, 16},  {{1, 48, 6, 9}, 112},
                                  {{1, 144, 4, 4}, 80},  {{2, 16, 1, 1}, 32},  {{0, 16, 4, 4}, 16},
                                  {{1, 288, 12, 4}, 32}, {{9, 32, 48, 48}, 16}};

struct Input {
  explicit Input(const Case& c) {
    at::manual_seed(0);
    const auto inputs = c.x[1];
    x = channels_last(at::randn(c.x));
    weight = channels_last(at::randn({c.outputs, inputs, 3, 3}));
    bias = at::randn({c.outputs});
    probe = channels_last(at::randn({c.x[0], c.outputs, c.x[2], c.x[3]}));
  }
  Tensor x, weight, bias, probe;
};

// y and the gradients of sum(y * probe) by x, weight and bias, computed in `type`.
std::vector<Tensor> run(const Conv& conv, const Input& in, at::ScalarType type) {
  const auto leaf = [&](const Tensor& t) { return t.to(type).detach().requires_grad_(); };
  const auto x = leaf(in.x), weight = leaf(in.weight), bias = leaf(in.bias);
  const auto y = conv(x, weight, bias);
  (y * in.probe.to(type)).sum().backward();
  return {y, x.grad(), weight.grad(), bias.grad()};
}

TEST(Conv3x3, FastTwinAndItsGradientsEqualTheReference) {
  const std::vector<std::string> names = {"y", "x", "weight", "bias"};
  for (const auto& c : kCases) {
    const Input input(c);
    const auto fast = run(conv3x3, input, at::kFloat);
    const auto exact = run(reference::conv3x3, input, at::kDouble);
    for (size_t i = 0; i < names.size(); ++i) {
      ASSERT_EQ(fast[i].sizes(), exact[i].sizes()) << names[i];
      if (exact[i].numel() == 0) continue;
      const auto worst = (fast[i] - exact[i]).abs().max().item<double>();
      const auto size = exact[i].square().mean().sqrt().item<double>();
      EXPECT_LE(worst, 1e-5 * size) << names[i] << " of " << c.x << " to " << c.outputs;
    }
  }
}

TEST(Conv3x3, AMiddleOfOneIsTheIdentity) {
  const Input input({{2, 16, 6, 6}, 16});
  auto weight = channels_last(at::zeros({16, 16, 3, 3}));
  for (int64_t c = 0; c < 16; ++c) weight[c][c][1][1] = 1;
  EXPECT_TRUE(conv3x3(input.x, weight, at::zeros(16)).allclose(input.x, 0, 2e-6));
}

TEST(Conv3x3, ARowDependsNeitherOnItsNeighboursNorOnThreads) {
  const Input input({{5, 32, 12, 12}, 32});
  const auto all = conv3x3(input.x, input.weight, input.bias);
  for (int64_t row = 0; row < 5; ++row) {
    const auto alone = conv3x3(input.x.slice(0, row, row + 1), input.weight, input.bias);
    EXPECT_TRUE(alone.equal(all.slice(0, row, row + 1))) << row;
  }
  const int threads = at::get_num_threads();
  at::set_num_threads(threads + 2);
  EXPECT_TRUE(conv3x3(input.x, input.weight, input.bias).equal(all));
  at::set_num_threads(threads);
}

TEST(Conv3x3, WhatTheFastTwinCannotDoGoesToTheReference) {
  const Input input({{2, 16, 4, 4}, 16});
  const auto x = input.x.contiguous(), weight = input.weight.contiguous();
  EXPECT_TRUE(conv3x3(x, weight, input.bias).equal(reference::conv3x3(x, weight, input.bias)))
      << "another order of memory";
  const auto few = input.weight.slice(0, 0, 3), bias = input.bias.slice(0, 0, 3);
  EXPECT_TRUE(conv3x3(input.x, few, bias).equal(reference::conv3x3(input.x, few, bias)))
      << "three outputs";
}

TEST(Conv3x3, RefusesWhatDoesNotFit) {
  const Input input({{1, 16, 4, 4}, 16});
  EXPECT_THROW(conv3x3(input.x, input.weight.slice(1, 0, 8), input.bias), c10::Error);
  EXPECT_THROW(conv3x3(input.x, input.weight.slice(2, 0, 1), input.bias), c10::Error);
}

}  // namespace
}  // namespace bitdiff::kernels
