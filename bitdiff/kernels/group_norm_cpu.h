#pragma once

#include <vector>

#include "bitdiff/base/tensor.h"
#include "bitdiff/kernels/group_norm.h"

/// The twin of kernels/group_norm.h for tensors in main memory, called through that, and its
/// gradient. All is float32; images are in channels-last order, the rest is contiguous.
namespace bitdiff::kernels::cpu {

/// The channels of an image [B, C, H, W], in one tensor or in several one behind the other.
using Parts = std::vector<Tensor>;

struct GroupNorm {
  Tensor y;
  Tensor mean;  ///< [B, C], of each channel's group.
  Tensor rstd;  ///< [B, C], 1 / deviation of each channel's group.
};

/// `weight`, `bias`: [B, C].
GroupNorm group_norm(const Parts& x, int64_t groups, const Tensor& weight, const Tensor& bias,
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
                        Activation activation, const GroupNorm& norm);

struct GroupNormGradient {
  Parts x;
  Tensor weight, bias;
};

/// `dy`: the gradient by `norm.y`, which is not looked at.
GroupNormGradient group_norm_gradient(const Tensor& dy, const Parts& x, int64_t groups,
                                      const Tensor& weight, const Tensor& bias,
                                      Activation activation, const GroupNorm& norm);

}  // namespace bitdiff::kernels::cpu
