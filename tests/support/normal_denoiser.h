#pragma once

#include <cmath>
#include <map>

#include <ATen/TensorOperators.h>

#include "bitdiff/diffusion/denoiser.h"

namespace bitdiff::test {

/// The best denoiser for data that are independent and normal, with mean 0 and a given deviation:
/// the case in which the probability flow has a closed solution.
class NormalDenoiser final : public Denoiser {
 public:
  explicit NormalDenoiser(double deviation) : variance_(deviation * deviation) {}

  /// E[x_0 | x_t]. All rows must have the same gamma.
  Tensor forward(const Tensor& x_t, const Tensor&, const Tensor& gamma,
                 const Condition&) const override {
    const double g = gamma[0].item<double>();
    states_[g] = x_t;
    return x_t * (std::sqrt(g) * variance_ / variance_at(g));
  }

  /// The state at gamma_end on the flow through `x_now` at gamma_now, which keeps x_t as it is in
  /// units of its deviation.
  Tensor flow(const Tensor& x_now, double gamma_now, double gamma_end) const {
    return x_now * std::sqrt(variance_at(gamma_end) / variance_at(gamma_now));
  }

  /// The last x_t asked about at exactly this gamma.
  Tensor last_state(double gamma) const { return states_.at(gamma); }

 private:
  double variance_at(double gamma) const { return gamma * variance_ + 1 - gamma; }

  double variance_;
  mutable std::map<double, Tensor> states_;
};

}  // namespace bitdiff::test
