#pragma once

#include <memory>
#include <string>

#include "bitdiff/base/options.h"
#include "bitdiff/metrics/feature_extractor.h"
#include "bitdiff/metrics/weight_source.h"

namespace bitdiff {

/// How images become 299 x 299.
enum class InceptionResize {
  kTf,     ///< As TensorFlow 1 does, and torch-fidelity: bilinear, corners where pixels begin.
  kTorch,  ///< As pytorch-fid does: bilinear, between the centres of pixels.
};

const Words<InceptionResize>& inception_resize_words();

/// Inception-v3 (Szegedy et al., 2015) in the version that the Frechet Inception Distance is
/// defined by, the TensorFlow graph of 2015-12-05 with 1008 classes. Names of the weights are those
/// of pytorch-fid. It differs from the published network as that graph does: average pools leave
/// padding out of the count, and the last block pools by the maximum.
///
/// features: [N, 2048], the last average pool. logits: [N, 1008] without the biases, as the code of
/// the Inception Score has them. spatial: [N, 7 * 17 * 17], the first 7 channels of what the graph
/// calls mixed_6/conv, as in sFID (Nash et al., 2021; the evaluator of Dhariwal and Nichol, 2021).
/// `hash`: of the weights, for the description. Throws InputError when weights are missing.
std::unique_ptr<FeatureExtractor> make_inception(const WeightSource& weights,
                                                 InceptionResize resize, const std::string& hash);

/// uint8 [N, 3, H, W] to the network's input, float32 [N, 3, 299, 299] in [-1, 1].
Tensor inception_input(const Tensor& images, InceptionResize resize);

}  // namespace bitdiff
