#pragma once

#include <optional>
#include <vector>

#include "bitdiff/base/tensor.h"
#include "bitdiff/kernels/int8_conv.h"

/// The twin of kernels/int8_conv.h for tensors in main memory, called through that. Images are
/// float32 in channels-last order.
namespace bitdiff::kernels::cpu {

/// Whether the functions below can do it with this image, or weight [N, K, k, k].
bool fits_int8_conv(const Tensor& x);
bool fits_int8_weight(const Tensor& weight);

/// int8 [N, K, k, k] as int8_conv reads it: for each panel of outputs (matrix_product.h) and each
/// place of the kernel [K / 4, outputs of the panel, 4].
Tensor pack_int8(const Tensor& q);

Tensor int8_conv(const std::vector<Tensor>& x, const Int8Weight& weight, const Tensor& bias);
Tensor int8_silu_conv(const std::vector<Tensor>& x, const Norm& norm, const Int8Weight& weight,
                      const Tensor& bias, const std::optional<Residual>& residual);

}  // namespace bitdiff::kernels::cpu
