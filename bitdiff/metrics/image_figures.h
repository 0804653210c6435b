#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bitdiff/base/options.h"
#include "bitdiff/metrics/feature_extractor.h"

namespace bitdiff {

enum class ImageMetric {
  kFid,   ///< "fid": frechet_distance of the features.
  kKid,   ///< "kid": kernel_inception_distance of the features.
  kIs,    ///< "is": inception_score of the samples' logits.
  kPrc,   ///< "precision", "recall": precision_recall of the features.
  kSfid,  ///< "sfid": frechet_distance of the spatial features.
};

const Words<ImageMetric>& image_metric_words();

/// Those that can be computed from what a network gives: no kIs without logits, no kSfid without
/// spatial features.
std::vector<ImageMetric> metrics_from(const FeatureExtractor::Output& output);

/// One number about samples.
struct Figure {
  std::string name;
  double value = 0;
  std::optional<double> deviation;  ///< Between subsets or splits, where there are such.
  /// What real images get: the same between the two halves of the reference; the reference's own
  /// score for "is".
  double floor = 0;
};

/// The figures of samples against a reference, of each set at least 8. `seed` draws halves, subsets
/// and splits. Throws InputError when a set is too small or a metric is not among metrics_from().
std::vector<Figure> image_figures(const FeatureExtractor::Output& samples,
                                  const FeatureExtractor::Output& reference,
                                  const std::vector<ImageMetric>& metrics, uint64_t seed);

}  // namespace bitdiff
