#pragma once

#include <cstdint>
#include <vector>

#include "bitdiff/base/tensor.h"

namespace bitdiff::kernels {

/// Throws c10::Error, naming `what` asks, unless `parts`, one or more, differ in `axis` alone and
/// have `channels` there together, and `bias` is one of `outputs`. Kernels read their memory by
/// these numbers.
void check_parts(const char* what, const std::vector<Tensor>& parts, int64_t axis, int64_t channels,
                 const Tensor& bias, int64_t outputs);

/// Throws c10::Error unless `residual` can be added to what `outputs` filters make of images `x`.
void check_residual(const char* what, const Tensor& residual, const Tensor& x, int64_t outputs);

}  // namespace bitdiff::kernels
