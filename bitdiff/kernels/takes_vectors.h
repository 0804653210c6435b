#pragma once

#include <ATen/autocast_mode.h>

#include "bitdiff/base/tensor.h"
#include "bitdiff/kernels/tiles.h"
#include "bitdiff/kernels/vectors.h"

namespace bitdiff::kernels {

/// What numbers are multiplied as; they are float32 before and after.
enum class Products { kFloat32, kBfloat16 };

/// What autocast asks of operations on the CPU.
inline Products products_now() {
  return at::autocast::is_autocast_enabled(at::kCPU) ? Products::kBfloat16 : Products::kFloat32;
}

/// Whether loops on vectors.h may take this tensor: float32 in main memory, on a processor that has
/// AVX-512 or AVX2. Under autocast they do where products in bfloat16 have tiles (tiles.h), and
/// else LibTorch's operations do all.
inline bool takes_vectors(const Tensor& x) {
  if (!has_vectors() || !x.is_cpu() || x.scalar_type() != at::kFloat) return false;
  return products_now() == Products::kFloat32 ||
         (has_tiles() && at::autocast::get_autocast_dtype(at::kCPU) == at::kBFloat16);
}

/// What LibTorch's operations made of `x`, which autocast may have made bfloat16: float32 where
/// loops of ours go on with it.
inline Tensor for_vectors(const Tensor& y, const Tensor& x) {
  return takes_vectors(x) ? y.to(at::kFloat) : y;
}

}  // namespace bitdiff::kernels
