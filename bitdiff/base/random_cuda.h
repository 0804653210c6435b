#pragma once

#include <cstdint>
#include <vector>

#include "bitdiff/base/tensor.h"
#include "bitdiff/cuda/interface.h"

/// The twin of Streams for numbers that a GPU draws, called through that.
namespace bitdiff::gpu {

enum class Distribution { kUniform, kNormal };

/// float32 `shape` = [rows.size(), ...] on `device`: what Streams(seed, rows) gives.
Tensor draw(const cuda::Kernels& kernels, Distribution distribution, uint64_t seed,
            const std::vector<int64_t>& rows, IntArrayRef shape, at::Device device);

}  // namespace bitdiff::gpu
