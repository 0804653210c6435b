#pragma once

#include "bitdiff/base/tensor.h"

/// The twin of kernels/conv3x3.h for tensors in main memory, called through that, and its
/// gradients: Winograd's F(4x4, 3x3), see winograd.h. All images and `weight` are float32 in
/// channels-last order.
namespace bitdiff::kernels::cpu {

/// Whether the functions below can do it: AVX-512, channels in multiples of 16.
bool fits_conv3x3(const Tensor& x, const Tensor& weight);

Tensor conv3x3(const Tensor& x, const Tensor& weight, const Tensor& bias);

/// The gradients by `x` and by `weight` of sum(conv3x3(x, weight) * dy).
Tensor conv3x3_input_gradient(const Tensor& dy, const Tensor& weight);
Tensor conv3x3_weight_gradient(const Tensor& dy, const Tensor& x);

}  // namespace bitdiff::kernels::cpu
