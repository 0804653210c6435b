#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "bitdiff/data/dataset.h"

namespace bitdiff {

struct ImageOptions {
  int64_t size = 64;  ///< Side of the square that images become.
  /// Where classes come from: empty, none; "folders", the folder below the root that an image is
  /// in; else a file of lines "name label", which may have further columns. Labels that are not all
  /// integers are numbered in the order of the alphabet.
  std::string labels = {};
};

/// The PNG and JPEG files below a folder, relative to it, in the order of their paths. Throws
/// InputError when there are none.
std::vector<std::filesystem::path> find_images(const std::filesystem::path& folder);

/// The images of find_images(), in that order, as uint8 [3, size, size]:
/// shrunk by area until the shorter side fits, then cut to the middle. Images are decoded when they
/// are asked for; one that is damaged makes get() throw InputError with its name.
std::shared_ptr<const Dataset> open_images(const std::filesystem::path& folder,
                                           const ImageOptions& options);

}  // namespace bitdiff
