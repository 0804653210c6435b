#pragma once

#include <optional>

#include "bitdiff/base/tensor.h"
#include "bitdiff/kernels/silu_conv3x3.h"
#include "bitdiff/kernels/takes_vectors.h"

/// The twin of kernels/conv3x3.h for tensors in main memory, called through that, and its
/// gradients: Winograd's F(4x4, 3x3), see winograd.h. All images and `weight` are float32 in
/// channels-last order.
namespace bitdiff::kernels::cpu {

/// Whether the functions below can do it with this image, or weight [N, K, 3, 3]: vectors, K (of a
/// weight N too) a multiple of 16.
bool fits_conv3x3(const Tensor& x);
bool fits_conv3x3_weight(const Tensor& weight);

/// (conv3x3(x) + residual) * factor.
Tensor conv3x3(const Tensor& x, const Tensor& weight, const Tensor& bias,
               const std::optional<Residual>& residual = {},
               Products products = Products::kFloat32);

/// The gradients by `x` and by `weight` of sum(conv3x3(x, weight) * dy).
Tensor conv3x3_input_gradient(const Tensor& dy, const Tensor& weight,
                              Products products = Products::kFloat32);
Tensor conv3x3_weight_gradient(const Tensor& dy, const Tensor& x,
                               Products products = Products::kFloat32);

}  // namespace bitdiff::kernels::cpu
