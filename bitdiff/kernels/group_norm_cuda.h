#pragma once

#include "bitdiff/base/tensor.h"
#include "bitdiff/cuda/interface.h"
#include "bitdiff/kernels/group_norm.h"
#include "bitdiff/kernels/normed.h"

/// The twin of kernels/group_norm.h for tensors on a GPU, called through that, and its gradient.
/// Images are in channels-last order, all of one type; weights, bias and what is found of the
/// groups are float32 and contiguous.
namespace bitdiff::kernels::gpu {

/// Whether it takes such images; there are at most two parts.
bool fits_group_norm(const Parts& x, int64_t groups);

/// `weight`, `bias`: [B, C]. Mean and rstd are those of each group, [B, groups].
Normed group_norm(const cuda::Kernels& kernels, const Parts& x, int64_t groups,
                  const Tensor& weight, const Tensor& bias, Activation activation);

/// `dy`: the gradient by `norm.y`, which is not looked at.
GroupNormGradient group_norm_gradient(const cuda::Kernels& kernels, const Tensor& dy,
                                      const Parts& x, int64_t groups, const Tensor& weight,
                                      const Tensor& bias, Activation activation,
                                      const Normed& norm);

}  // namespace bitdiff::kernels::gpu
