#pragma once

#include <filesystem>
#include <memory>

#include "bitdiff/io/safetensors.h"
#include "bitdiff/metrics/inception.h"

namespace bitdiff {

struct FeatureOptions {
  InceptionResize resize = InceptionResize::kTf;  ///< Inception only.
};

/// The network whose weights a .safetensors file holds; "bitdiff.features" of its metadata says
/// which: "inception" or "small" (see small_features.h). Throws InputError.
std::unique_ptr<FeatureExtractor> open_features(const std::filesystem::path& path,
                                                const FeatureOptions& options);

/// Inception's weights out of a state dict of pytorch-fid, as the file that open_features() reads.
/// `source`: the file they come from. Throws InputError when it does not hold them.
TensorFile inception_file(const std::filesystem::path& source);

}  // namespace bitdiff
