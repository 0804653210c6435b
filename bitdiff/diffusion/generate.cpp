#include "bitdiff/diffusion/generate.h"

#include <algorithm>

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

namespace bitdiff {
namespace {

/// From the estimate without self-conditioning towards, and beyond, the one with it.
Tensor guided(const Tensor& without, const Tensor& with, double weight, double scale) {
  return (weight * with + (1 - weight) * without).clamp(-scale, scale);
}

}  // namespace

Tensor generate(const Process& process, const Denoiser& net, IntArrayRef shape,
                const Condition& cond, const GenerateOptions& options, const Streams& streams) {
  const c10::NoGradGuard no_grad;
  const Schedule& gamma = process.gamma;
  const auto steps = static_cast<double>(options.steps);

  auto x_t = streams.fork(Purpose::kNoise).normal(shape);
  const auto none = at::zeros_like(x_t);
  auto x_pred = none;
  auto x_cond = none;

  for (double step = 0; step < steps; ++step) {
    // Get time for current and next states.
    const double t_now = 1 - step / steps;
    const double t_next = std::max(1 - (step + 1 + options.td) / steps, 0.0);

    // Predict x_0.
    const auto predict = [&](const Tensor& x0_prev) {
      const auto gamma_now = at::full({shape[0]}, gamma(t_now), at::kDouble);
      return estimate_x0(process, net.forward(x_t, x0_prev, gamma_now, cond), x_t, gamma_now);
    };
    if (options.self_guidance != 1) {
      x_cond = predict(none);
      x_pred = guided(x_cond, predict(x_cond), options.self_guidance, process.codec.scale());
    } else {
      if (options.self_cond) x_cond = options.momentum * x_cond + (1 - options.momentum) * x_pred;
      x_pred = predict(x_cond);
    }

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
