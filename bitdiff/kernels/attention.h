#pragma once

#include "bitdiff/base/tensor.h"

namespace bitdiff::kernels {

/// Scaled dot-product self-attention (Vaswani et al., 2017) of L positions to each other.
///
/// `qkv`: [B, L, 3 C], queries, keys and values one behind the other, in each of them `heads` heads
/// of C / heads numbers. Returns [B, L, C]. On a CPU with AVX-512, in float32 and with heads whose
/// width is a multiple of 16, it goes through loops of our own that read `qkv` where it lies; those
/// are differentiable once.
Tensor self_attention(const Tensor& qkv, int64_t heads);

/// The same by LibTorch, for every device: what the fast twin is tested against.
namespace reference {
Tensor self_attention(const Tensor& qkv, int64_t heads);
}  // namespace reference

}  // namespace bitdiff::kernels
