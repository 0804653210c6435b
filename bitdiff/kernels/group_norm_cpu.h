#pragma once

#include "bitdiff/base/tensor.h"
#include "bitdiff/kernels/group_norm.h"
#include "bitdiff/kernels/normed.h"

/// The twin of kernels/group_norm.h for tensors in main memory, called through that, and its
/// gradient. All is float32; images are in channels-last order, the rest is contiguous.
namespace bitdiff::kernels::cpu {

/// `weight`, `bias`: [B, C]. Mean and rstd are those of each channel's group, [B, C].
Normed group_norm(const Parts& x, int64_t groups, const Tensor& weight, const Tensor& bias,
                  Activation activation);

/// Where group_norm_of_image writes: y [H, W, C]; mean and rstd [C].
struct ImageNorm {
  float *y, *mean, *rstd;
};

/// The same for image `b` alone, on the thread that calls it.
void group_norm_of_image(const Parts& x, int64_t b, int64_t groups, const Tensor& weight,
                         const Tensor& bias, Activation activation, const ImageNorm& to);

/// The y of `group_norm` once more, from the `mean` and `rstd` it found.
Tensor group_norm_again(const Parts& x, const Tensor& weight, const Tensor& bias,
                        Activation activation, const Normed& norm);

/// `dy`: the gradient by `norm.y`, which is not looked at.
GroupNormGradient group_norm_gradient(const Tensor& dy, const Parts& x, int64_t groups,
                                      const Tensor& weight, const Tensor& bias,
                                      Activation activation, const Normed& norm);

}  // namespace bitdiff::kernels::cpu
