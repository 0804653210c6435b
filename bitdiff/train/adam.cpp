#include "bitdiff/train/adam.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>

namespace bitdiff {

Adam::Adam(const AdamOptions& options, NamedTensors parameters)
    : options_(options), parameters_(std::move(parameters)) {
  for (const auto& [name, value] : parameters_) {
    values_.push_back(value);
    means_.push_back(at::zeros_like(value.detach()));
    squares_.push_back(at::zeros_like(value.detach()));
  }
  steps_.assign(values_.size(), at::zeros({}, values_.front().options().requires_grad(false)));
}

double Adam::step(double lr, double count) {
  const c10::NoGradGuard no_grad;
  std::vector<Tensor> gradients;
  for (const auto& value : values_) {
    gradients.push_back(value.grad().defined() ? value.grad() : at::zeros_like(value));
  }
  const auto norms = at::_foreach_norm(gradients);
  const double norm = at::linalg_vector_norm(at::stack(norms)).item<double>() / count;
  if (std::isfinite(norm)) {
    // The kernel divides gradients by a scale: neither mean nor clipping costs a pass of its own.
    const double scale = count * (options_.clip > 0 ? std::max(norm / options_.clip, 1.0) : 1.0);
    steps_.front().add_(1);
    at::_fused_adamw_(values_, gradients, means_, squares_, {}, steps_, lr, options_.beta1,
                      options_.beta2, options_.weight_decay, options_.eps, /*amsgrad=*/false,
                      /*maximize=*/false, at::full({}, scale, steps_.front().options()));
  }
  for (auto& value : values_) value.mutable_grad().reset();
  return norm;
}

NamedTensors Adam::state() const {
  NamedTensors state{{"step", steps_.front()}};
  for (size_t i = 0; i < parameters_.size(); ++i) {
    state.emplace_back(parameters_[i].first + ".mean", means_[i]);
    state.emplace_back(parameters_[i].first + ".square", squares_[i]);
  }
  return state;
}

}  // namespace bitdiff
