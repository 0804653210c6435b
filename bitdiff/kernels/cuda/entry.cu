#include "bitdiff/kernels/cuda/kernels.cuh"

// Named by kEntry.
extern "C" const bitdiff::kernels::cuda::Kernels* bitdiff_cuda_kernels_1() {
  using namespace bitdiff::kernels::cuda;
  static constexpr Kernels kKernels{group_norm, group_norm_gradient, layer_norm,
                                    layer_norm_gradient};
  return &kKernels;
}
