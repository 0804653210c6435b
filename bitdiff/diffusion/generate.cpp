#include "bitdiff/diffusion/generate.h"

#include <algorithm>

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

namespace bitdiff {

Tensor generate(const Process& process, const Denoiser& net, IntArrayRef shape,
                const Condition& cond, const GenerateOptions& options, const Streams& streams) {
  const c10::NoGradGuard no_grad;
  const Schedule& gamma = process.gamma;
  const auto steps = static_cast<double>(options.steps);

  auto x_t = streams.fork(Purpose::kNoise).normal(shape);
  auto x_pred = at::zeros_like(x_t);

  for (double step = 0; step < steps; ++step) {
    // Get time for current and next states.
    const double t_now = 1 - step / steps;
    const double t_next = std::max(1 - (step + 1 + options.td) / steps, 0.0);

    // Predict x_0.
    if (!options.self_cond) x_pred = at::zeros_like(x_t);
    const auto gamma_now = at::full({shape[0]}, gamma(t_now), at::kDouble);
    const auto out = net.forward(x_t, x_pred, gamma_now, cond);
    x_pred = estimate_x0(process, out, x_t, gamma_now);

    // Estimate x at t_next.
    if (options.solver == Solver::kDdim) {
      x_t = ddim_step(x_t, x_pred, gamma(t_now), gamma(t_next));
    } else {
      const auto z = streams.fork(Purpose::kStepNoise, static_cast<uint64_t>(step)).normal(shape);
      const auto next = ddpm_step(x_t, x_pred, gamma(t_now), gamma(t_next), options.solver);
      x_t = next.mean + next.deviation * z;
    }
  }
  return x_pred;
}

}  // namespace bitdiff
