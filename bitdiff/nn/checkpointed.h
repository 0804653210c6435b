#pragma once

#include <functional>
#include <vector>

#include "bitdiff/base/tensor.h"

namespace bitdiff {

/// A part of a network as a function of tensors. It may use parameters besides.
using Part = std::function<Tensor(const std::vector<Tensor>&)>;

/// part(x), of which nothing but x is kept for the gradient: that computes the part once more
/// (activation checkpointing, Chen et al., 2016). At least one of x must require a gradient for the
/// parameters to get theirs. `part` lives as long as the gradient may be asked for: it must hold
/// copies of what it needs, and give the same result each time; autocast to bfloat16 is on for both
/// or for neither.
Tensor checkpointed(const Part& part, const std::vector<Tensor>& x);

}  // namespace bitdiff
