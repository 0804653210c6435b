#include "bitdiff/kernels/int8_conv.h"

#include <cmath>
#include <vector>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "bitdiff/kernels/conv3x3.h"

namespace bitdiff::kernels {
namespace {

Tensor channels_last(const Tensor& x) { return x.contiguous(at::MemoryFormat::ChannelsLast); }

struct Case {
  std::vector<int64_t> channels;  // Of the parts of x.
  int64_t groups, outputs, kernel;
  bool residual;
};

// Whole and partial panels, pixels that are no multiple of six, a group that lies in both parts;
// parts that are narrow or too many for the fast twin.
const std::vector<Case> kCases = {{{64}, 16, 32, 3, false},   {{32}, 8, 144, 3, true},
                                  {{48, 16}, 2, 48, 3, true}, {{16, 32}, 6, 80, 1, false},
                                  {{12}, 3, 20, 3, true},     {{16, 16, 16}, 4, 16, 3, true}};

struct Input {
  explicit Input(const Case& c) {
    at::manual_seed(0);
    int64_t all = 0;
    for (const auto part : c.channels) {
      // Each image has a range of its own.
      x.push_back(channels_last((at::randn({3, part, 6, 5}) * 2 + 1) *
                                at::tensor({1.0F, 30.0F, 0.01F}).view({3, 1, 1, 1})));
      all += part;
    }
    norm = {c.groups, at::randn({3, all}), at::randn({3, all})};
    weight = channels_last(at::randn({c.outputs, all, c.kernel, c.kernel}) *
                           at::linspace(0.1, 2, c.outputs).view({-1, 1, 1, 1}));
    bias = at::randn({c.outputs});
    if (c.residual) residual = Residual{channels_last(at::randn({3, c.outputs, 6, 5})), 0.75};
  }
  std::vector<Tensor> x;
  Norm norm;
  Tensor weight, bias;
  std::optional<Residual> residual;
};

double relative(const Tensor& got, const Tensor& expected) {
  return ((got - expected).norm() / expected.norm()).item<double>();
}

TEST(Int8Conv, FastTwinEqualsTheReference) {
  for (size_t i = 0; i < kCases.size(); ++i) {
    const Input in(kCases[i]);
    const auto weight = quantize_weight(in.weight);
    const auto y = int8_conv(in.x, weight, in.bias);
    const auto expected = reference::int8_conv(in.x, weight, in.bias);
    for (int64_t b = 0; b < 3; ++b) EXPECT_LE(relative(y[b], expected[b]), 1e-6) << "case " << i;
  }
}

TEST(Int8Conv, FastTwinOfSiluEqualsTheReference) {
  for (size_t i = 0; i < kCases.size(); ++i) {
    const Input in(kCases[i]);
    const auto weight = quantize_weight(in.weight);
    const auto y = int8_silu_conv(in.x, in.norm, weight, in.bias, in.residual);
    const auto expected = reference::int8_silu_conv(in.x, in.norm, weight, in.bias, in.residual);
    // The last digit of an exponential may round an input to its other neighbour.
    EXPECT_LE(relative(y, expected), 1e-4) << "case " << i;
  }
}

TEST(Int8Conv, IsNearTheConvolutionOfFloats) {
  for (size_t i = 0; i < kCases.size(); ++i) {
    const Input in(kCases[i]);
    const auto weight = quantize_weight(in.weight);
    const auto exact = at::conv2d(at::cat(in.x, 1), in.weight, in.bias, 1, in.weight.size(2) / 2);
    const auto y = int8_conv(in.x, weight, in.bias);
    for (int64_t b = 0; b < 3; ++b) EXPECT_LE(relative(y[b], exact[b]), 0.02) << "case " << i;
    if (kCases[i].kernel == 1) continue;
    EXPECT_LE(relative(int8_silu_conv(in.x, in.norm, weight, in.bias, in.residual),
                       silu_conv3x3(in.x, in.norm, in.weight, in.bias, in.residual)),
              0.02)
        << "case " << i;
  }
}

// Integers up to 127 and 255 are their own codes: the answer is exact, the largest sums too.
TEST(Int8Conv, IsExactOnIntegers) {
  at::manual_seed(0);
  // The last has sums of more than 31 bits.
  for (const int64_t channels : {16, 512, 8192}) {
    auto x = channels_last(at::randint(0, 256, {2, channels, 7, 9}).to(at::kFloat));
    auto w = channels_last(at::randint(-127, 128, {32, channels, 3, 3}).to(at::kFloat));
    x.select(1, 0).fill_(255);
    x[1].fill_(255);
    w.select(1, 0).fill_(127);
    w[0].fill_(127);
    const auto y = int8_conv({x}, quantize_weight(w), at::zeros(32));
    const auto expected = at::conv2d(x.to(at::kDouble), w.to(at::kDouble), {}, 1, 1);
    EXPECT_TRUE(y.equal(expected.to(at::kFloat))) << channels;
  }
}

TEST(Int8Conv, ImagesDoNotDependOnEachOther) {
  const Input in(kCases[1]);
  const auto weight = quantize_weight(in.weight);
  const auto together = int8_conv(in.x, weight, in.bias);
  for (int64_t b = 0; b < 3; ++b)
    EXPECT_TRUE(int8_conv({in.x[0].slice(0, b, b + 1)}, weight, in.bias)[0].equal(together[b]));
}

TEST(Int8Conv, PassesNanOnAndTakesZeros) {
  const Input in(kCases[0]);
  const auto weight = quantize_weight(in.weight);
  auto x = at::zeros_like(in.x[0]);
  x[1][3][2][2] = std::nan("");
  x[2][3][2][2] = INFINITY;
  for (const auto& function : {int8_conv, reference::int8_conv}) {
    const auto y = function({x}, weight, in.bias);
    EXPECT_TRUE(y[0].equal(in.bias.view({-1, 1, 1}).expand_as(y[0])));
    EXPECT_TRUE(y[1].isnan().all().item<bool>());
    EXPECT_FALSE(y[2].isfinite().any().item<bool>());
  }
  const auto of_nothing = quantize_weight(at::zeros_like(in.weight));
  EXPECT_TRUE(int8_conv(in.x, of_nothing, at::zeros(32)).eq(0).all().item<bool>());
}

TEST(Int8Conv, RefusesWhatDoesNotFit) {
  const Input in(kCases[0]);
  const auto weight = quantize_weight(in.weight);
  EXPECT_THROW(int8_conv({in.x[0], in.x[0]}, weight, in.bias), c10::Error);
  EXPECT_THROW(int8_silu_conv(in.x, {7, in.norm.weight, in.norm.bias}, weight, in.bias),
               c10::Error);
  EXPECT_THROW(int8_silu_conv(in.x, {16, in.norm.weight[0], in.norm.bias}, weight, in.bias),
               c10::Error);
  EXPECT_THROW(quantize_weight(at::zeros({16, 16, 5, 5})), c10::Error);
  EXPECT_THROW(quantize_weight(at::zeros({16, 16})), c10::Error);
}

}  // namespace
}  // namespace bitdiff::kernels
