#include "bitdiff/cuda/kernels.cuh"

// Named by kEntry.
extern "C" const bitdiff::cuda::Kernels* bitdiff_cuda_kernels_1() {
  using namespace bitdiff::cuda;
  static constexpr Kernels kKernels{group_norm, group_norm_gradient, layer_norm,
                                    layer_norm_gradient, random};
  return &kKernels;
}
