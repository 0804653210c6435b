#pragma once

#include "bitdiff/base/tensor.h"

namespace bitdiff::kernels {

/// What a position sees.
enum class Sight { kAll, kUpToItself };

/// Scaled dot-product attention (Vaswani et al., 2017) of L positions to each other, in `heads`
/// heads of C / heads numbers.
///
/// `qkv`: [B, L, 3 C], queries, keys and values one behind the other. Returns [B, L, C]. On a CPU
/// with AVX-512 or AVX2, in float32 and with heads whose width is a multiple of 16, it goes through
/// loops of our own that read `qkv` where it lies; those are differentiable once.
Tensor self_attention(const Tensor& qkv, int64_t heads, Sight sight = Sight::kAll);

/// The same of L positions to M others. `q`: [B, L, C]. `kv`: [B, M, 2 C], keys and values.
Tensor cross_attention(const Tensor& q, const Tensor& kv, int64_t heads);

/// The same by LibTorch, for every device: what the fast twins are tested against.
namespace reference {
Tensor self_attention(const Tensor& qkv, int64_t heads, Sight sight = Sight::kAll);
Tensor cross_attention(const Tensor& q, const Tensor& kv, int64_t heads);
}  // namespace reference

}  // namespace bitdiff::kernels
