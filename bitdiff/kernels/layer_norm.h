#pragma once

#include "bitdiff/base/tensor.h"

namespace bitdiff::kernels {

/// Layer normalisation (Ba et al., 2016), eps 1e-6, with a weight and a bias for each row of the
/// batch, which adaptive layer norm makes of the time (Peebles & Xie, 2022).
///
/// `x`: [B, L, D]. `weight`, `bias`: [B, D]. Returns the dtype and the shape of `x`. On the CPU,
/// and on GPUs where the library of kernels was built, it goes through loops of our own, which are
/// differentiable once.
Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias);

/// The same in tensor operations, for every device: what the fast twin is tested against.
namespace reference {
Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias);
}  // namespace reference

}  // namespace bitdiff::kernels
