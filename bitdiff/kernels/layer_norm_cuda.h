#pragma once

#include "bitdiff/base/tensor.h"
#include "bitdiff/cuda/interface.h"
#include "bitdiff/kernels/normed.h"

/// The twin of kernels/layer_norm.h for tensors on a GPU, called through that, and its gradient.
/// All is contiguous; weight, bias and what is found of the positions are float32.
namespace bitdiff::kernels::gpu {

/// Whether it takes such an x.
bool fits_layer_norm(const Tensor& x);

/// Mean and rstd are those of each position, [B, L].
Normed layer_norm(const cuda::Kernels& kernels, const Tensor& x, const Tensor& weight,
                  const Tensor& bias);

/// The gradients of sum(layer_norm(x) * dy). `norm`: what layer_norm found; y is not looked at.
LayerNormGradient layer_norm_gradient(const cuda::Kernels& kernels, const Tensor& dy,
                                      const Tensor& x, const Tensor& weight, const Normed& norm);

}  // namespace bitdiff::kernels::gpu
