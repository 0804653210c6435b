#pragma once

#include <vector>

#include "bitdiff/base/tensor.h"
#include "bitdiff/kernels/takes_vectors.h"

/// The twin of kernels/linear.h for tensors in main memory, called through that, and its gradients.
/// All is float32 and contiguous; leading axes are taken as one.
namespace bitdiff::kernels::cpu {

/// Whether the functions below can do it with this x or weight.
bool fits_linear(const Tensor& x);

Tensor linear(const std::vector<Tensor>& x, const Tensor& weight, const Tensor& bias,
              Products products = Products::kFloat32);

/// The gradients of sum(linear(x) * dy) by the part of x that `part` is like and that has the
/// columns of `weight` from `first` on; by weight; and by bias.
Tensor linear_input_gradient(const Tensor& dy, const Tensor& weight, const Tensor& part,
                             int64_t first, Products products = Products::kFloat32);
Tensor linear_weight_gradient(const Tensor& dy, const std::vector<Tensor>& x,
                              Products products = Products::kFloat32);
Tensor linear_bias_gradient(const Tensor& dy);

}  // namespace bitdiff::kernels::cpu
