#pragma once

#include "bitdiff/base/tensor.h"

namespace bitdiff {

/// log p(x_t | category), but for a constant: what noisy bits say of the category behind them, each
/// place alone. `codes`: float32 [K, n], the analog bits of every category. `x_t`: float32 [B, n,
/// *S]. `gamma`: float64 [B] in (0, 1]. Returns float32 [B, *S, K].
Tensor log_likelihood(const Tensor& codes, const Tensor& x_t, const Tensor& gamma);

}  // namespace bitdiff
