#pragma once

#include "bitdiff/base/tensor.h"

namespace bitdiff {

/// A figure that was found several times, on parts of the data.
struct MeanAndDeviation {
  double mean = 0;
  double deviation = 0;  ///< Standard deviation between the parts, divided by their number.
};

struct KidOptions {
  int64_t subsets = 100;
  int64_t subset_size = 1000;  ///< Less where a set has fewer.
  uint64_t seed = 0;           ///< Draws the subsets.
};

/// Kernel Inception Distance (Binkowski et al., 2018) of features [N, D] and [M, D], N and M at
/// least 2: the unbiased estimate of the squared maximum mean discrepancy under the kernel
/// (x.y / D + 1)^3, on random subsets without replacement. Computed in float64. Where a subset is
/// all of both sets, once.
MeanAndDeviation kernel_inception_distance(const Tensor& x, const Tensor& y,
                                           const KidOptions& options);

}  // namespace bitdiff
