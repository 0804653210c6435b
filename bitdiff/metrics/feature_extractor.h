#pragma once

#include <string>

#include "bitdiff/base/tensor.h"

namespace bitdiff {

/// A network that turns images into vectors, in whose space sets of images are compared.
class FeatureExtractor {
 public:
  struct Output {
    Tensor features;  ///< float32 [N, D]: what FID, KID and precision compare.
    Tensor logits;    ///< float32 [N, K], class scores for the Inception Score; undefined if none.
    Tensor spatial;   ///< float32 [N, D2], features with places, for sFID; undefined if none.
  };

  FeatureExtractor() = default;
  FeatureExtractor(const FeatureExtractor&) = delete;
  FeatureExtractor& operator=(const FeatureExtractor&) = delete;
  virtual ~FeatureExtractor() = default;

  /// Its short name, such as "inception-2015-12-05".
  virtual std::string name() const = 0;

  /// All that a figure depends on but the images: hash of the weights, resize mode, dtype. Printed
  /// with every figure; two extractors of one name and description give the same features.
  virtual std::string description() const = 0;

  /// `images`: uint8 [N, 3, H, W] RGB. Each image's output depends on that image alone.
  virtual Output operator()(const Tensor& images) const = 0;
};

}  // namespace bitdiff
