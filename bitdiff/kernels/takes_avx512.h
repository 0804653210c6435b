#pragma once

#include <ATen/autocast_mode.h>

#include "bitdiff/base/tensor.h"
#include "bitdiff/kernels/vector512.h"

namespace bitdiff::kernels {

/// Whether loops on AVX-512 may take this tensor: float32 in main memory, on a processor that has
/// it. Who asks for bfloat16 by autocast gets LibTorch's operations.
inline bool takes_avx512(const Tensor& x) {
  return has_avx512() && x.is_cpu() && x.scalar_type() == at::kFloat &&
         !at::autocast::is_autocast_enabled(at::kCPU);
}

}  // namespace bitdiff::kernels
