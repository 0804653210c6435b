#pragma once

#include <cstdint>

#include "bitdiff/base/tensor.h"
#include "bitdiff/cuda/interface.h"

/// The twin of Streams for numbers that a GPU draws, called through that.
namespace bitdiff::gpu {

enum class Distribution { kUniform, kNormal };

/// float32 `shape` = [B, ...] beside `numbers`, int64 [B]: what Streams gives rows of these
/// numbers.
Tensor draw(const cuda::Kernels& kernels, Distribution distribution, uint64_t seed,
            const Tensor& numbers, IntArrayRef shape);

}  // namespace bitdiff::gpu
