#pragma once

#include <optional>

#include "bitdiff/base/tensor.h"
#include "bitdiff/kernels/silu_conv3x3.h"

/// The twins of conv3x3_cpu.h where has_tiles(): the same float32 tensors, whose products are of
/// numbers rounded to bfloat16 and summed in float32, all nine of a place.
namespace bitdiff::kernels::cpu::bf16 {

Tensor conv3x3(const Tensor& x, const Tensor& weight, const Tensor& bias,
               const std::optional<Residual>& residual);
Tensor conv3x3_input_gradient(const Tensor& dy, const Tensor& weight);
Tensor conv3x3_weight_gradient(const Tensor& dy, const Tensor& x);

}  // namespace bitdiff::kernels::cpu::bf16
