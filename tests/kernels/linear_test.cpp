#include "bitdiff/kernels/linear.h"

#include <functional>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

namespace bitdiff::kernels {
namespace {

using Function = std::function<Tensor(const std::vector<Tensor>&, const Tensor&, const Tensor&)>;

// y and the gradients of sum(y * probe) by the parts of x, weight and bias, computed in `type`.
std::vector<Tensor> run(const Function& function, const std::vector<Tensor>& tensors,
                        at::ScalarType type) {
  std::vector<Tensor> leaves;
  for (const auto& tensor : tensors) leaves.push_back(tensor.to(type).detach().requires_grad_());
  const auto weight = leaves.end() - 2, bias = leaves.end() - 1;
  const auto y = function({leaves.begin(), weight}, *weight, *bias);
  const auto probe = at::linspace(0, 99, y.numel(), at::kDouble).cos().view(y.sizes());
  (y * probe.to(type)).sum().backward();
  std::vector<Tensor> results{y.detach()};
  for (const auto& leaf : leaves) results.push_back(leaf.grad());
  return results;
}

void expect_equal(const Function& fast, const Function& plain, const std::vector<Tensor>& tensors) {
  const auto some = run(fast, tensors, at::kFloat), exact = run(plain, tensors, at::kDouble);
  ASSERT_EQ(some.size(), exact.size());
  for (size_t i = 0; i < some.size(); ++i) {
    ASSERT_EQ(some[i].sizes(), exact[i].sizes());
    const auto error = (some[i] - exact[i]).norm().item<double>();
    EXPECT_LE(error, 2e-6 * exact[i].norm().item<double>()) << "tensor " << i;
  }
}

TEST(Linear, FastTwinAndItsGradientsEqualTheReference) {
  at::manual_seed(0);
  // Of x: the parts' widths; odd and few rows, none, and more than a chunk.
  for (const auto& rows :
       std::vector<std::vector<int64_t>>{{}, {32}, {3, 11}, {0}, {2, 97}, {4100}}) {
    for (const auto& widths : std::vector<std::vector<int64_t>>{{48}, {16, 144}, {10}}) {
      std::vector<Tensor> tensors;
      int64_t inputs = 0;
      for (const auto width : widths) {
        auto shape = rows;
        shape.push_back(width);
        tensors.push_back(at::randn(shape));
        inputs += width;
      }
      tensors.push_back(at::randn({112, inputs}));
      tensors.push_back(at::randn({112}));
      expect_equal(linear, reference::linear, tensors);
    }
  }
}

TEST(Linear, AWeightGradientOfManyBlocksEqualsTheReference) {
  at::manual_seed(0);
  const std::vector<Tensor> tensors{at::randn({2100, 560}), at::randn({2100, 32}),
                                    at::randn({1040, 592}), at::randn({1040})};
  expect_equal(linear, reference::linear, tensors);
  const auto some = run(linear, tensors, at::kFloat);
  const int threads = at::get_num_threads();
  at::set_num_threads(threads + 2);
  EXPECT_TRUE(run(linear, tensors, at::kFloat)[3].equal(some[3]));
  at::set_num_threads(threads);
}

TEST(Linear, WidthsPastTheCacheEqualTheReference) {
  at::manual_seed(0);
  expect_equal(
      linear, reference::linear,
      {at::randn({40, 2080}), at::randn({40, 4096}), at::randn({2064, 6176}), at::randn({2064})});
}

TEST(Linear, FastTwinOfPixelsEqualsTheReference) {
  at::manual_seed(0);
  const auto image = [](int64_t channels) {
    return at::randn({3, channels, 5, 7}).contiguous(at::MemoryFormat::ChannelsLast);
  };
  for (const int64_t outputs : {32, 24}) {
    const auto weight = at::randn({outputs, 64, 1, 1}), bias = at::randn({outputs});
    expect_equal(conv1x1, reference::conv1x1, {image(64), weight, bias});
    expect_equal(conv1x1, reference::conv1x1, {image(16), image(48), weight, bias});
  }
}

TEST(Linear, ARowDependsNeitherOnItsNeighboursNorOnThreads) {
  at::manual_seed(0);
  const auto x = at::randn({300, 64}), weight = at::randn({80, 64}), bias = at::randn({80});
  const auto all = kernels::linear({x}, weight, bias);
  for (const int64_t row : {0, 60, 240}) {
    const auto some = kernels::linear({x.slice(0, row, row + 40)}, weight, bias);
    EXPECT_TRUE(some.equal(all.slice(0, row, row + 40))) << row;
  }
  const int threads = at::get_num_threads();
  at::set_num_threads(threads + 2);
  EXPECT_TRUE(kernels::linear({x}, weight, bias).equal(all));
  at::set_num_threads(threads);
}

TEST(Linear, RefusesWhatDoesNotFit) {
  const auto weight = at::ones({16, 32}), bias = at::ones(16);
  const auto rows = [](int64_t width, int64_t count = 64) { return at::ones({count, width}); };
  for (const auto& x :
       {std::vector{rows(48)}, {rows(16)}, {rows(16), rows(32)}, {rows(16), rows(16, 32)}, {}}) {
    EXPECT_THROW(kernels::linear(x, weight, bias), c10::Error) << x.size();
  }
  EXPECT_THROW(kernels::linear({rows(32)}, weight, at::ones(32)), c10::Error);
  const auto images = at::ones({2, 48, 8, 8}).contiguous(at::MemoryFormat::ChannelsLast);
  EXPECT_THROW(conv1x1({images}, weight.view({16, 32, 1, 1}), bias), c10::Error);
}

TEST(Linear, IsItsFormula) {
  const auto x = at::arange(32 * 16, at::kFloat).view({32, 16});
  const auto weight = at::eye(16) * 2;
  EXPECT_TRUE(kernels::linear({x}, weight, at::ones(16)).equal(2 * x + 1));
}

}  // namespace
}  // namespace bitdiff::kernels
