#pragma once

#include "bitdiff/metrics/kid.h"

namespace bitdiff {

struct InceptionScoreOptions {
  int64_t splits = 10;
  uint64_t seed = 0;  ///< Deals the images to the splits.
};

/// Inception Score (Salimans et al., 2016) of `logits` [N, K]: exp of the mean divergence of each
/// image's classes from those of all, for each split, which are as equal as they can be. Computed
/// in float64. With fewer images than splits, each is one.
MeanAndDeviation inception_score(const Tensor& logits, const InceptionScoreOptions& options);

}  // namespace bitdiff
