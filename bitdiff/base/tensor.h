#pragma once

#include <vector>

#include <ATen/core/Tensor.h>

namespace bitdiff {

using at::IntArrayRef;
using at::Tensor;

/// [B, 1, ..., 1]: the shape that spreads one number a row over a tensor of shape `sizes`.
inline std::vector<int64_t> row_shape(IntArrayRef sizes) {
  std::vector<int64_t> shape(sizes.size(), 1);
  shape.front() = sizes.front();
  return shape;
}

}  // namespace bitdiff
