#pragma once

#include <algorithm>
#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/log.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/sqrt.h>

#include "bitdiff/diffusion/denoiser.h"
#include "bitdiff/diffusion/process.h"

namespace bitdiff::test {

/// The best denoiser there is for data that takes finitely many values: the posterior mean
///
///   E[x_0 | x_t] = sum_m w_m x_m,   w = softmax_m(log p_m - |x_t - sqrt(gamma) x_m|^2 / (2 (1 -
///   gamma))),
///
/// in float64. With it a correct sampler returns the data's own distribution, without training.
class IdealDenoiser final : public Denoiser {
 public:
  /// `codes`: float32 [M, C, *S], the analog bits x_m of each possible example. `probabilities`:
  /// [M], positive, with sum 1. `prediction`: what forward answers with.
  IdealDenoiser(const Tensor& codes, const Tensor& probabilities,
                Prediction prediction = Prediction::kX0)
      : codes_(codes.to(at::kDouble).flatten(1)),
        log_prior_(at::log(probabilities.to(at::kDouble)).unsqueeze(1)),
        prediction_(prediction) {}

  Tensor forward(const Tensor& x_t, const Tensor& x0_prev, const Tensor& gamma,
                 const Condition&) const override {
    ++calls_;
    saw_self_cond_ = saw_self_cond_ || x0_prev.ne(0).any().item<bool>();

    // A few thousand rows at a time stay in the cache: five times faster.
    std::vector<Tensor> parts;
    for (int64_t row = 0; row < x_t.size(0); row += kRows) {
      const int64_t end = std::min(row + kRows, x_t.size(0));
      const auto x = x_t.slice(0, row, end).flatten(1).t().to(at::kDouble);     // [n, B]
      const auto g = gamma.slice(0, row, end);                                  // [B]
      const auto x_0 = codes_.t().matmul(at::softmax(log_posterior(x, g), 0));  // [n, B]
      parts.push_back(answer(x, x_0, g).to(at::kFloat).t());
    }
    return at::cat(parts, 0).reshape(x_t.sizes());
  }

  int64_t calls() const { return calls_; }
  /// Whether a call was given an estimate other than zeros.
  bool saw_self_cond() const { return saw_self_cond_; }

 private:
  static constexpr int64_t kRows = 4096;

  // [M, B], up to a constant of each row: |x_t|^2 is left out.
  Tensor log_posterior(const Tensor& x, const Tensor& g) const {
    const auto half_norms = (codes_.square().sum(1) / 2).unsqueeze(1);  // [M, 1]
    return log_prior_ + (codes_.matmul(x * at::sqrt(g)) - half_norms * g) / (1 - g);
  }

  Tensor answer(const Tensor& x, const Tensor& x_0, const Tensor& g) const {
    if (prediction_ == Prediction::kX0) return x_0;
    auto eps = (x - at::sqrt(g) * x_0) / at::sqrt(1 - g);
    if (prediction_ == Prediction::kEps) return eps;
    return at::sqrt(g) * eps - at::sqrt(1 - g) * x_0;
  }

  Tensor codes_;      // float64 [M, n]
  Tensor log_prior_;  // float64 [M, 1]
  Prediction prediction_;
  mutable int64_t calls_ = 0;
  mutable bool saw_self_cond_ = false;
};

}  // namespace bitdiff::test
