#pragma once

#include <memory>
#include <vector>

#include <ATen/TensorOperators.h>
#include <c10/core/GradMode.h>

#include "bitdiff/base/tensor.h"
#include "bitdiff/diffusion/denoiser.h"
#include "bitdiff/nn/parameters.h"

namespace bitdiff {

/// A network and an input of 4 rows for it.
struct NetCase {
  /// `make`: Scope -> a Denoiser. `row`: the shape of a row of its input.
  template <class Make>
  NetCase(Make make, std::vector<int64_t> row) : net(make(Scope(parameters))) {
    const Streams streams(3, {0, 1, 2, 3});
    row.insert(row.begin(), 4);
    x_t = streams.fork(Purpose::kNoise).normal(row);
    x0_prev = streams.fork(Purpose::kEval).normal(row);
    gamma = streams.fork(Purpose::kTime).uniform({4}).to(at::kDouble);
  }

  /// Gives numbers to the layers that start silent, which hide what stands before them.
  void wake() {
    const c10::NoGradGuard no_grad;
    for (auto& tensor : parameters.tensors()) {
      const auto count = tensor.numel();
      if (tensor.abs().max().item<double>() < 1e-3)
        tensor.copy_(Streams(count, {0}).normal({1, count}).view(tensor.sizes()) * 0.1);
    }
  }

  Tensor forward(const Condition& cond = {}) const {
    return net->forward(x_t, x0_prev, gamma, cond);
  }

  Tensor forward(const Tensor& label) const { return forward({.label = label, .dropout = {}}); }

  Tensor forward_with_dropout(uint64_t seed) const {
    return forward({.label = {}, .dropout = Streams(seed, {0, 1, 2, 3})});
  }

  Parameters parameters{0};
  std::unique_ptr<Denoiser> net;
  Tensor x_t, x0_prev, gamma;
};

}  // namespace bitdiff
