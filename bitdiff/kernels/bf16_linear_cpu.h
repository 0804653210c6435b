#pragma once

#include <vector>

#include "bitdiff/base/tensor.h"

/// The twins of linear_cpu.h where has_tiles(): the same float32 tensors, whose products are of
/// numbers rounded to bfloat16 and summed in float32.
namespace bitdiff::kernels::cpu::bf16 {

Tensor linear(const std::vector<Tensor>& x, const Tensor& weight, const Tensor& bias);
Tensor linear_input_gradient(const Tensor& dy, const Tensor& weight, const Tensor& part,
                             int64_t first_column);
Tensor linear_weight_gradient(const Tensor& dy, const std::vector<Tensor>& x);

}  // namespace bitdiff::kernels::cpu::bf16
