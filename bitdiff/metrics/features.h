#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>

#include "bitdiff/metrics/feature_extractor.h"

namespace bitdiff {

/// Images to compare with others, all of one size.
struct ImageSet {
  std::string hash;  ///< SHA-256 of what the images are; equal where they are.
  int64_t count = 0;
  std::function<Tensor(int64_t begin, int64_t end)> get;  ///< uint8 [end - begin, 3, H, W].
};

/// One of `count` parts of a job, `index` from 0.
struct Shard {
  int64_t index = 0;
  int64_t count = 1;
};

/// The features of a set of images, computed in chunks. In a folder each chunk is a file from when
/// it is done, so that an interrupted job goes on and several processes can share it.
class FeatureChunks {
 public:
  static constexpr int64_t kChunk = 512;  ///< Images in a chunk; the last may have fewer.

  /// The chunks lie in a folder below `folder` whose name tells images and network apart from all
  /// others. Empty: in memory. Both references must outlive this.
  FeatureChunks(const ImageSet& images, const FeatureExtractor& extractor,
                const std::filesystem::path& folder);

  /// Computes those chunks of the shard that are not there: chunk i belongs to shard i modulo
  /// count. `show(images)` is called after every few. Throws InputError or StorageError.
  void compute(const Shard& shard, const std::function<void(int64_t)>& show);

  /// How many images of the shard are in chunks that are not there.
  int64_t missing(const Shard& shard = {}) const;

  /// All features, in the order of the images. Throws InputError when a file is not as written.
  FeatureExtractor::Output all() const;

 private:
  int64_t chunks() const;
  int64_t size_of(int64_t chunk) const;
  std::filesystem::path path_of(int64_t chunk) const;
  bool has(int64_t chunk) const;
  FeatureExtractor::Output load(int64_t chunk) const;
  void keep(int64_t chunk, const FeatureExtractor::Output& output);

  const ImageSet& images_;
  const FeatureExtractor& extractor_;
  std::filesystem::path folder_;  // Empty: chunks are in memory_.
  std::map<int64_t, FeatureExtractor::Output> memory_;
};

}  // namespace bitdiff
