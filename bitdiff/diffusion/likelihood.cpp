#include "bitdiff/diffusion/likelihood.h"

#include <ATen/ATen.h>

#include "bitdiff/base/autocast.h"

namespace bitdiff {

Tensor log_likelihood(const Tensor& codes, const Tensor& x_t, const Tensor& gamma) {
  // x_t ~ N(sqrt(gamma) code, 1 - gamma). Below this variance the likelihood decides alone, and
  // larger numbers would only cost float32 its digits. bfloat16 has none to spare.
  const Autocast exact(false, x_t.device().type());
  const auto variance = (1 - gamma).clamp_min(1e-4);
  const auto per_row = [&](const Tensor& a) {
    return a.to(x_t.scalar_type()).reshape(row_shape(x_t.sizes()));
  };
  const auto likeness = at::matmul(x_t.movedim(1, -1) * per_row(sqrt(gamma) / variance), codes.t());
  return likeness - per_row(gamma / (2 * variance)) * codes.square().sum(1);
}

}  // namespace bitdiff
