#include "bitdiff/train/ema.h"

#include <ATen/ops/_foreach_lerp.h>
#include <c10/core/GradMode.h>

namespace bitdiff {

Ema::Ema(double decay, const NamedTensors& parameters) : decay_(decay) {
  for (const auto& [name, value] : parameters) {
    parameters_.push_back(value);
    averages_.emplace_back(name, value.detach().clone());
    average_list_.push_back(averages_.back().second);
  }
}

void Ema::update() {
  const c10::NoGradGuard no_grad;
  at::_foreach_lerp_(average_list_, parameters_, 1 - decay_);
}

void Ema::swap() {
  const c10::NoGradGuard no_grad;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const auto weights = parameters_[i].clone();
    parameters_[i].copy_(average_list_[i]);
    average_list_[i].copy_(weights);
  }
}

}  // namespace bitdiff
