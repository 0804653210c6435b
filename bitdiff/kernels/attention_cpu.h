#pragma once

#include "bitdiff/base/tensor.h"
#include "bitdiff/kernels/attention.h"

/// The twin of kernels/attention.h for tensors in main memory, called through that, and its
/// gradient. All is float32, and the numbers of a position lie together.
namespace bitdiff::kernels::cpu {

/// Queries [B, L, C], keys and values [B, M, C]; may be views of a larger tensor.
struct Attended {
  Tensor query, key, value;
  int64_t heads;
  Sight sight;  ///< kUpToItself wants L = M.
};

/// Whether the functions below can do it.
bool fits_attention(const Attended& attended);

Tensor attention(const Attended& attended);

/// The gradients of sum(attention(x) * dy), written into the tensors of `gradient`.
void attention_gradient(const Tensor& dy, const Attended& x, const Attended& gradient);

}  // namespace bitdiff::kernels::cpu
