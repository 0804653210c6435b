#include "bitdiff/diffusion/step.h"

#include <algorithm>
#include <cmath>

#include <ATen/ATen.h>

namespace bitdiff {
namespace {

/// The noise in x_t if x0 is the data.
Tensor implied_eps(const Tensor& x_t, const Tensor& x0, double gamma) {
  return (x_t - std::sqrt(gamma) * x0) / std::sqrt(1 - gamma);
}

}  // namespace

Tensor ddim_step(const Tensor& x_t, const Tensor& x0, double gamma_now, double gamma_next) {
  const auto eps = implied_eps(x_t, x0, gamma_now);
  return std::sqrt(gamma_next) * x0 + std::sqrt(1 - gamma_next) * eps;
}

AncestralStep ddpm_step(const Tensor& x_t, const Tensor& x0, double gamma_now, double gamma_next,
                        Solver solver) {
  const double alpha = std::clamp(gamma_now / gamma_next, 0.0, 1.0);
  const auto eps = implied_eps(x_t, x0, gamma_now);
  const auto mean = (x_t - (1 - alpha) / std::sqrt(1 - gamma_now) * eps) / std::sqrt(alpha);
  const double variance =
      solver == Solver::kDdpmSmall ? (1 - gamma_next) / (1 - gamma_now) * (1 - alpha) : 1 - alpha;
  return {mean, std::sqrt(variance)};
}

}  // namespace bitdiff
