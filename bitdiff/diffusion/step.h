#pragma once

#include "bitdiff/base/options.h"
#include "bitdiff/base/tensor.h"

namespace bitdiff {

/// How to get from x_t to x_{t_next}. All take the same step in the mean as S grows.
enum class Solver {
  kDdim,       ///< Deterministic, order 1 (Song et al., 2021).
  kDdpm,       ///< Ancestral, variance 1 - alpha ("large"; Ho et al., 2020).
  kDdpmSmall,  ///< Ancestral, variance of the posterior of x_{t_next} given x_t and x_0.
  kDpm2m,      ///< DPM-Solver++ (2M): deterministic, order 2, multistep (Lu et al., 2022).
  kHeun,       ///< Deterministic, order 2, two calls of the network a step.
};

inline Words<Solver> solver_words() {
  return {{"ddim", Solver::kDdim},
          {"ddpm", Solver::kDdpm},
          {"ddpm-small", Solver::kDdpmSmall},
          {"dpm++2m", Solver::kDpm2m},
          {"heun", Solver::kHeun}};
}

/// x_{t_next} = sqrt(gamma_next) * x0 + sqrt(1 - gamma_next) * eps, eps as implied by x_t and x0.
Tensor ddim_step(const Tensor& x_t, const Tensor& x0, double gamma_now, double gamma_next);

// The solvers of order 2 are DDIM steps with a better x0 for the step. In lambda = log-SNR / 2 the
// exact step is  x_next = sigma_next / sigma_now * x_now + sigma_next * integral of e^lambda x0.

/// DPM-Solver++ (2M): x0 in the middle of the step, on the line through its last two values, `x0`
/// at gamma_now and `x0_before` at gamma_before (algorithm 2 of Lu et al., 2022). Where these are
/// equal or gamma_next is 1, `x0`.
Tensor multistep_x0(const Tensor& x0, const Tensor& x0_before, double gamma_before,
                    double gamma_now, double gamma_next);

/// Heun: the mean over the step, as the integral weighs it, of an x0 that goes from `x0_now` to
/// `x0_next` in a straight line in lambda. Unlike the plain mean it stays right in the first step,
/// which is long in lambda.
Tensor heun_x0(const Tensor& x0_now, const Tensor& x0_next, double gamma_now, double gamma_next);

/// The normal distribution from which an ancestral step draws.
struct AncestralStep {
  Tensor mean;
  double deviation = 0;
};

/// The ancestral step with variance 1 - alpha (kDdpm) or (1 - gamma_next) / (1 - gamma_now) times
/// it (kDdpmSmall), where alpha = gamma_now / gamma_next, kept in [0, 1].
AncestralStep ddpm_step(const Tensor& x_t, const Tensor& x0, double gamma_now, double gamma_next,
                        Solver solver);

}  // namespace bitdiff
