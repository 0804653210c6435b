#pragma once

#include <vector>

#include "bitdiff/base/tensor.h"

/// What the twins of a normalisation hand to its gradient, and that.
namespace bitdiff::kernels {

/// The channels of an image [B, C, H, W], in one tensor or in several one behind the other.
using Parts = std::vector<Tensor>;

struct Normed {
  Tensor y;
  Tensor mean;  ///< Of what was normalised together.
  Tensor rstd;  ///< 1 / deviation of the same.
};

struct GroupNormGradient {
  Parts x;
  Tensor weight, bias;
};

struct LayerNormGradient {
  Tensor x, weight, bias;
};

}  // namespace bitdiff::kernels
