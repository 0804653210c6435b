#pragma once

#include <ATen/autocast_mode.h>

#include "bitdiff/base/tensor.h"
#include "bitdiff/kernels/vectors.h"

namespace bitdiff::kernels {

/// Whether loops on vectors.h may take this tensor: float32 in main memory, on a processor that has
/// AVX-512 or AVX2. Who asks for bfloat16 by autocast gets LibTorch's operations.
inline bool takes_vectors(const Tensor& x) {
  return has_vectors() && x.is_cpu() && x.scalar_type() == at::kFloat &&
         !at::autocast::is_autocast_enabled(at::kCPU);
}

}  // namespace bitdiff::kernels
