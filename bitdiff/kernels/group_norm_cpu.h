#pragma once

#include "bitdiff/base/tensor.h"

/// The twin of kernels/group_norm.h for tensors in main memory, called through that, and its
/// gradient. All is float32; `x` and `dy` are in channels-last order, the rest is contiguous.
namespace bitdiff::kernels::cpu {

struct GroupNorm {
  Tensor y;
  Tensor mean;  ///< [B, C], of each channel's group.
  Tensor rstd;  ///< [B, C], 1 / deviation of each channel's group.
};

GroupNorm group_norm(const Tensor& x, int64_t groups, const Tensor& weight, const Tensor& bias);

struct GroupNormGradient {
  Tensor x, weight, bias;
};

/// `dy`: the gradient by `norm.y`.
GroupNormGradient group_norm_gradient(const Tensor& dy, const Tensor& x, int64_t groups,
                                      const Tensor& weight, const GroupNorm& norm);

}  // namespace bitdiff::kernels::cpu
