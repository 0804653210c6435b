#pragma once

#include "bitdiff/cuda/interface.h"

/// How a kernel is started. The tests give a `launch` of their own, which runs it on the CPU.
namespace bitdiff::cuda {

/// The threads of a block.
inline constexpr int kThreads = 256;

#ifdef __CUDACC__
/// Starts `blocks` blocks; none is no error. Returns null, or what went wrong.
template <typename Call, typename... More>
const char* launch(void (*kernel)(Call, More...), int64_t blocks, Place place, const Call& call,
                   More... more) {
  if (blocks == 0) return nullptr;
  // LibTorch set it, with another copy of the CUDA runtime.
  auto error = cudaSetDevice(place.device);
  if (error == cudaSuccess) {
    kernel<<<static_cast<unsigned>(blocks), kThreads, 0, static_cast<cudaStream_t>(place.stream)>>>(
        call, more...);
    error = cudaGetLastError();
  }
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}
#endif

}  // namespace bitdiff::cuda
