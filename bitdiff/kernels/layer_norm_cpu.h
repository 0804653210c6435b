#pragma once

#include "bitdiff/base/tensor.h"
#include "bitdiff/kernels/normed.h"

/// The twin of kernels/layer_norm.h for tensors in main memory, called through that, and its
/// gradients.
namespace bitdiff::kernels::cpu {

/// Whether it takes such an x.
bool fits_layer_norm(const Tensor& x);

/// Mean and rstd are those of each position, [B, L].
Normed layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias);

/// The gradients of sum(layer_norm(x) * dy). `norm`: what layer_norm found; y is not looked at.
LayerNormGradient layer_norm_gradient(const Tensor& dy, const Tensor& x, const Tensor& weight,
                                      const Normed& norm);

}  // namespace bitdiff::kernels::cpu
