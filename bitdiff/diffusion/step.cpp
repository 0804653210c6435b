#include "bitdiff/diffusion/step.h"

#include <algorithm>
#include <cmath>

#include <ATen/ATen.h>

#include "bitdiff/diffusion/schedule.h"

namespace bitdiff {
namespace {

/// The noise in x_t if x0 is the data.
Tensor implied_eps(const Tensor& x_t, const Tensor& x0, double gamma) {
  return (x_t - std::sqrt(gamma) * x0) / std::sqrt(1 - gamma);
}

double lambda(double gamma) { return log_snr(gamma) / 2; }

}  // namespace

Tensor ddim_step(const Tensor& x_t, const Tensor& x0, double gamma_now, double gamma_next) {
  const auto eps = implied_eps(x_t, x0, gamma_now);
  return std::sqrt(gamma_next) * x0 + std::sqrt(1 - gamma_next) * eps;
}

Tensor multistep_x0(const Tensor& x0, const Tensor& x0_before, double gamma_before,
                    double gamma_now, double gamma_next) {
  const double h = lambda(gamma_next) - lambda(gamma_now);
  const double h_before = lambda(gamma_now) - lambda(gamma_before);
  // No line through one point, and no middle of a step without end: x0 itself then.
  if (!(h_before > 0) || !std::isfinite(h)) return x0;
  return x0 + h / (2 * h_before) * (x0 - x0_before);
}

Tensor heun_x0(const Tensor& x0_now, const Tensor& x0_next, double gamma_now, double gamma_next) {
  const double h = lambda(gamma_next) - lambda(gamma_now);
  // Both terms go to infinity where h goes to 0, their sum to 1/2.
  const double weight = std::abs(h) < 1e-5 ? 0.5 + h / 12 : -1 / std::expm1(-h) - 1 / h;
  return x0_now + weight * (x0_next - x0_now);
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
