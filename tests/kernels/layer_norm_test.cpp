#include "bitdiff/kernels/layer_norm.h"

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

namespace bitdiff::kernels {
namespace {

using Function = std::function<Tensor(const Tensor&, const Tensor&, const Tensor&)>;

struct Input {
  explicit Input(IntArrayRef shape) {
    at::manual_seed(0);
    x = at::randn(shape) * 3 + 2;
    probe = at::randn(shape);
    weight = at::randn({shape[0], shape[2]});
    bias = at::randn({shape[0], shape[2]});
  }
  Tensor x, probe, weight, bias;
};

// y and the gradients of sum(y * probe) by x, weight and bias, computed in `type`.
std::vector<Tensor> run(const Function& norm, const Input& in, at::ScalarType type) {
  const auto leaf = [&](const Tensor& t) { return t.to(type).detach().requires_grad_(); };
  const auto x = leaf(in.x), weight = leaf(in.weight), bias = leaf(in.bias);
  const auto y = norm(x, weight, bias);
  (y * in.probe.to(type)).sum().backward();
  return {y.detach(), x.grad(), weight.grad(), bias.grad()};
}

TEST(LayerNorm, FastTwinAndItsGradientEqualTheReference) {
  const std::vector<std::string> names = {"y", "x", "weight", "bias"};
  for (const auto& shape : std::vector<std::vector<int64_t>>{
           {3, 5, 64}, {2, 1, 16}, {1, 90, 528}, {4, 3, 20}, {0, 4, 32}, {2, 0, 32}}) {
    const Input input(shape);
    const auto fast = run(layer_norm, input, at::kFloat);
    const auto exact = run(reference::layer_norm, input, at::kDouble);
    for (size_t i = 0; i < names.size(); ++i) {
      ASSERT_EQ(fast[i].sizes(), exact[i].sizes()) << names[i];
      const auto error = (fast[i] - exact[i]).norm().item<double>();
      EXPECT_LE(error, 2e-6 * exact[i].norm().item<double>()) << names[i] << IntArrayRef(shape);
    }
  }
}

TEST(LayerNorm, KeepsItsDigitsFarFromZero) {
  Input input({2, 3, 64});
  input.x += 1000;
  const auto fast = run(layer_norm, input, at::kFloat);
  const auto exact = run(reference::layer_norm, input, at::kDouble);
  EXPECT_LE((fast[0] - exact[0]).abs().max().item<double>(), 1e-4);
}

TEST(LayerNorm, DoesNotDependOnThreads) {
  const Input input({3, 70, 48});
  const auto some = run(layer_norm, input, at::kFloat);
  const int threads = at::get_num_threads();
  at::set_num_threads(threads + 2);
  const auto same = run(layer_norm, input, at::kFloat);
  at::set_num_threads(threads);
  for (size_t i = 0; i < some.size(); ++i) EXPECT_TRUE(same[i].equal(some[i])) << i;
}

TEST(LayerNorm, IsItsFormula) {
  const auto x = at::arange(16, at::kFloat).view({1, 1, 16});
  const auto y = layer_norm(x, at::full({1, 16}, 2.0), at::ones({1, 16}));
  EXPECT_TRUE(y.allclose(2 * (x - 7.5) / std::sqrt(21.25) + 1, 1e-6, 1e-6)) << y;
}

TEST(LayerNorm, RefusesWeightsOfAnotherShape) {
  EXPECT_THROW(layer_norm(at::ones({2, 3, 16}), at::ones({16}), at::ones({16})), c10::Error);
  EXPECT_THROW(layer_norm(at::ones({2, 16}), at::ones({2, 16}), at::ones({2, 16})), c10::Error);
}

}  // namespace
}  // namespace bitdiff::kernels
