#include "bitdiff/diffusion/estimator.h"

#include <ATen/ATen.h>

#include "bitdiff/base/autocast.h"

namespace bitdiff {

Estimator::Estimator(const Process& process, const Denoiser& net, const Condition& cond,
                     const EstimateOptions& options)
    : process_(process), net_(net), cond_(cond), hidden_(cond), options_(options) {
  const auto& some = cond.label.defined() ? cond.label : cond.context;
  if (options.guidance != 0 && some.defined())
    hidden_ = hidden(cond, at::ones({some.size(0)}, some.options().dtype(at::kBool)));
}

Tensor Estimator::answer(const Tensor& x_t, const Tensor& x0_prev, const Tensor& gamma,
                         const Condition& cond) const {
  const Autocast bf16(options_.bf16, x_t.device().type());
  return net_.forward(x_t, x0_prev, gamma, cond).to(x_t.scalar_type());
}

Tensor Estimator::predict(const Tensor& x_t, const Tensor& x0_prev, const Tensor& gamma) const {
  auto out = answer(x_t, x0_prev, gamma, cond_);
  if (const double w = options_.guidance; w != 0) {
    out = (1 + w) * out - w * answer(x_t, x0_prev, gamma, hidden_);
  }
  return estimate_x0(process_, out, x_t, gamma, options_.temperature);
}

Tensor Estimator::operator()(const Tensor& x_t, double gamma) {
  const auto gamma_now = at::full({x_t.size(0)}, gamma, x_t.options().dtype(at::kDouble));
  const auto none = at::zeros_like(x_t);
  if (const double w = options_.self_guidance; w != 1) {
    const auto without = predict(x_t, none, gamma_now);
    const auto with = predict(x_t, without, gamma_now);
    const double scale = process_.codec.scale();
    return (w * with + (1 - w) * without).clamp(-scale, scale);
  }
  if (!x_pred_.defined()) x_pred_ = x_cond_ = none;
  if (options_.self_cond) {
    x_cond_ = options_.momentum * x_cond_ + (1 - options_.momentum) * x_pred_;
  }
  x_pred_ = predict(x_t, x_cond_, gamma_now);
  return x_pred_;
}

}  // namespace bitdiff
