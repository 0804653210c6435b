#include "bitdiff/diffusion/generate.h"

#include <algorithm>

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "bitdiff/base/autocast.h"

namespace bitdiff {

Tensor generate(const Process& process, const Denoiser& net, IntArrayRef shape,
                const Condition& cond, const GenerateOptions& options, const Streams& streams) {
  const c10::NoGradGuard no_grad;
  const AutocastCache weights_of_all_steps;
  const auto steps = static_cast<double>(options.steps);
  const double td = options.td_unit == TdUnit::kSteps ? options.td / steps : options.td;
  const auto gamma_after = [&](int64_t step, double ahead) {
    return process.gamma(std::max(1 - static_cast<double>(step) / steps - ahead, 0.0));
  };

  const auto seen = net.look(cond);
  Estimator estimate(process, net, seen, options.estimate);
  auto x_t = streams.fork(Purpose::kNoise).normal(shape);
  Tensor x_pred;

  for (int64_t step = 0; step < options.steps; ++step) {
    // Get noise levels of current and next states.
    const double now = gamma_after(step, 0);
    const double next = gamma_after(step + 1, td);

    // Predict x_0.
    const auto x_before = x_pred;
    x_pred = estimate(x_t, now);
    if (step + 1 == options.steps) break;

    // Estimate x at t_next.
    switch (options.solver) {
      case Solver::kDdim:
        x_t = ddim_step(x_t, x_pred, now, next);
        break;
      case Solver::kDdpm:
      case Solver::kDdpmSmall: {
        const auto z = streams.fork(Purpose::kStepNoise, static_cast<uint64_t>(step)).normal(shape);
        const auto drawn = ddpm_step(x_t, x_pred, now, next, options.solver);
        x_t = drawn.mean + drawn.deviation * z;
        break;
      }
      case Solver::kDpm2m: {
        const double before = gamma_after(step - 1, 0);
        const auto x0 = step == 0 ? x_pred : multistep_x0(x_pred, x_before, before, now, next);
        x_t = ddim_step(x_t, x0, now, next);
        break;
      }
      case Solver::kHeun: {
        const auto x_there = estimate(ddim_step(x_t, x_pred, now, next), gamma_after(step + 1, 0));
        x_t = ddim_step(x_t, heun_x0(x_pred, x_there, now, next), now, next);
        break;
      }
    }
  }
  return x_pred;
}

}  // namespace bitdiff
