#pragma once

#include "bitdiff/base/options.h"
#include "bitdiff/base/tensor.h"

namespace bitdiff {

/// How to get from x_t to x_{t_next}. All take the same step in the mean as S grows.
enum class Solver {
  kDdim,       ///< Deterministic (Song et al., 2021).
  kDdpm,       ///< Ancestral, variance 1 - alpha ("large"; Ho et al., 2020).
  kDdpmSmall,  ///< Ancestral, variance of the posterior of x_{t_next} given x_t and x_0.
};

inline Words<Solver> solver_words() {
  return {{"ddim", Solver::kDdim}, {"ddpm", Solver::kDdpm}, {"ddpm-small", Solver::kDdpmSmall}};
}

/// x_{t_next} = sqrt(gamma_next) * x0 + sqrt(1 - gamma_next) * eps, eps as implied by x_t and x0.
Tensor ddim_step(const Tensor& x_t, const Tensor& x0, double gamma_now, double gamma_next);

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
