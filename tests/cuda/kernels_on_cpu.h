#pragma once

#include "bitdiff/cuda/interface.h"

extern "C" const bitdiff::cuda::Kernels* bitdiff_cuda_kernels_2();

namespace bitdiff::cuda {

/// The kernels as sources, run on the CPU: see on_cpu.h.
inline const Kernels& on_cpu() { return *bitdiff_cuda_kernels_2(); }

}  // namespace bitdiff::cuda
