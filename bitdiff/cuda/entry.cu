#include "bitdiff/cuda/kernels.cuh"

namespace bitdiff::cuda {
namespace {

#ifdef __CUDACC__
__global__ void nothing() {}

bool runs_on(int device) {
  cudaFuncAttributes attributes;
  const bool runs = cudaSetDevice(device) == cudaSuccess &&
                    cudaFuncGetAttributes(&attributes, nothing) == cudaSuccess;
  cudaGetLastError();  // It would be found after the next launch.
  return runs;
}
#else
bool runs_on(int /*device*/) { return true; }
#endif

}  // namespace
}  // namespace bitdiff::cuda

// Named by kEntry.
extern "C" const bitdiff::cuda::Kernels* bitdiff_cuda_kernels_2() {
  using namespace bitdiff::cuda;
  static constexpr Kernels kKernels{runs_on,    group_norm,          group_norm_gradient,
                                    layer_norm, layer_norm_gradient, random};
  return &kKernels;
}
