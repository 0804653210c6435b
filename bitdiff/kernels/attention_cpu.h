#pragma once

#include "bitdiff/base/tensor.h"

/// The twin of kernels/attention.h for tensors in main memory, called through that, and its
/// gradient. All is float32 and contiguous.
namespace bitdiff::kernels::cpu {

/// Whether the functions below can do it.
bool fits_attention(const Tensor& qkv, int64_t heads);

Tensor self_attention(const Tensor& qkv, int64_t heads);

/// The gradient by `qkv` of sum(self_attention(qkv) * dy).
Tensor self_attention_gradient(const Tensor& dy, const Tensor& qkv, int64_t heads);

}  // namespace bitdiff::kernels::cpu
