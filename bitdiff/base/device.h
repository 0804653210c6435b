#pragma once

#include <cstdint>
#include <string>

#include <c10/core/Device.h>

#include "bitdiff/base/tensor.h"

namespace bitdiff {

/// The device that `word` names: cpu, cuda or cuda:N. Plain cuda is the first GPU, or of the
/// `local_rank`-th process on a machine its own, counting around where there are fewer. CUDA is
/// loaded when first asked for, and must be before the first use of a tensor. For a GPU it sets
/// LibTorch's switches of cuDNN in the whole process: no TF32, and the fastest algorithms by trial.
/// Throws UsageError for another word, and where LibTorch's CUDA, a driver or that device is
/// missing.
at::Device open_device(const std::string& word, int64_t local_rank = 0);

/// `t` on `device`. From main memory to a GPU it travels while the caller goes on, by way of memory
/// that the GPU reads itself; what is in such memory already must not change before it is there.
Tensor to_device(const Tensor& t, at::Device device);

}  // namespace bitdiff
