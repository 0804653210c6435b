#include "bitdiff/diffusion/train_loss.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "bitdiff/base/device.h"

namespace bitdiff {
namespace {

/// The condition with rows hidden, each with probability `rate`; in training only.
Condition hide_rows(const Condition& cond, int64_t rows, double rate) {
  if (rate == 0 || !cond.dropout) return cond;
  return hidden(cond, cond.dropout->fork(Purpose::kLabel).uniform({rows}) < rate);
}

/// The condition of the first `n` rows, with dropout of its own.
Condition first_rows(const Condition& cond, int64_t n) {
  Condition first = cond;
  if (cond.label.defined()) first.label = cond.label.slice(0, 0, n);
  if (cond.context.defined()) first.context = cond.context.slice(0, 0, n);
  for (auto& seen : first.seen) seen = seen.slice(0, 0, n);
  if (cond.dropout) first.dropout = cond.dropout->fork(Purpose::kSelfCond).slice(0, n);
  return first;
}

}  // namespace

Tensor train_loss(const Process& process, const Denoiser& net, const Tensor& x,
                  const Condition& cond, const Streams& streams, int64_t self_cond_rows,
                  const Tensor& weight) {
  const auto t = streams.on(at::kCPU).fork(Purpose::kTime).uniform({x.size(0)});
  return loss_at(process, net, x, cond, process.gamma(t), streams, self_cond_rows, weight);
}

Tensor loss_at(const Process& process, const Denoiser& net, const Tensor& x,
               const Condition& condition, const Tensor& gammas, const Streams& streams,
               int64_t self_cond_rows, const Tensor& weight) {
  const auto cond = net.look(condition);  // Once for both passes.

  // Binary encoding: discrete to analog bits.
  const auto x_bits = process.codec.encode(x, streams.device());

  // Corrupt data.
  const auto eps = streams.fork(Purpose::kNoise).normal(x_bits.sizes());
  const auto gamma = to_device(gammas, streams.device());
  const auto x_crpt = corrupt(x_bits, eps, gamma);

  // Compute self-cond estimate.
  const auto x_pred = at::zeros_like(x_crpt);
  if (const int64_t n = self_cond_rows; n > 0) {
    const c10::NoGradGuard stop_gradient;
    const auto x_n = x_crpt.slice(0, 0, n);
    const auto gamma_n = gamma.slice(0, 0, n);
    const auto cond_n = hide_rows(first_rows(cond, n), n, process.label_dropout);
    const auto out = net.forward(x_n, x_pred.slice(0, 0, n), gamma_n, cond_n);
    x_pred.slice(0, 0, n).copy_(estimate_x0(process, out, x_n, gamma_n));
  }

  // Predict and compute loss.
  const auto cond_n = hide_rows(cond, x.size(0), process.label_dropout);
  const auto out = net.forward(x_crpt, x_pred, gamma, cond_n);
  const auto truth = process.loss == Loss::kSoftmax ? to_device(x, streams.device()) : Tensor();
  return loss_of(process, out, x_bits, eps, gamma, weight, truth);
}

}  // namespace bitdiff
