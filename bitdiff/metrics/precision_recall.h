#pragma once

#include "bitdiff/base/tensor.h"

namespace bitdiff {

struct PrecisionRecall {
  double precision = 0;  ///< Share of the samples that lie on the reference's manifold.
  double recall = 0;     ///< Share of the reference that lies on the samples' manifold.
};

/// Improved precision and recall (Kynkaanniemi et al., 2019): the manifold of a set of features
/// [N, D], N > 3, is the union of the balls around each that reach to its third nearest neighbour.
/// Distances are computed in float64, in blocks of rows.
PrecisionRecall precision_recall(const Tensor& samples, const Tensor& reference);

}  // namespace bitdiff
