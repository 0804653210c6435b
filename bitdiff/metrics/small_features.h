#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "bitdiff/io/safetensors.h"
#include "bitdiff/metrics/feature_extractor.h"
#include "bitdiff/metrics/small_net.h"

namespace bitdiff {

/// What else a file of features says: how it was made, how well it does.
using FeatureNotes = std::map<std::string, std::string>;

/// uint8 [N, 3, H, W] as float32 [N, 3, size, size], resized by area where need be.
Tensor fit_images(const Tensor& images, int64_t size);

/// The float32 features [N, D] of uint8 images [N, 3, H, W] of any size.
Tensor small_features(const SmallNet& net, const Tensor& images);

/// Rounds the parameters to what a file keeps of them: float16.
void round_to_file(const SmallNet& net);

/// Writes a network as a .safetensors file (docs/formats.md), atomically. Class scores are left out
/// unless `with_head`. Throws StorageError.
void save_small_net(const std::filesystem::path& path, const SmallNet& net, bool with_head,
                    const FeatureNotes& notes);

/// The key of a file's metadata that says which network's features it is for, and what stands there
/// for this one.
inline constexpr const char* kFeaturesKey = "bitdiff.features";
inline constexpr const char* kSmallNet = "small";

/// The network of such a file. In errors the file is called `where`, in the description `hash`.
/// Throws InputError when the file is of something else, or its parts do not fit each other.
std::unique_ptr<FeatureExtractor> open_small_net(const TensorFile& file, const std::string& where,
                                                 const std::string& hash);

}  // namespace bitdiff
