#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bitdiff/data/dataset.h"

namespace bitdiff {

struct ImageOptions {
  int64_t size = 64;  ///< Side of the square that images become.
  /// Where classes come from: empty, none; "folders", the folder below the root that an image is
  /// in; else a file of lines "name label", which may have further columns: one below the root (or
  /// in the tar) if there is one of that name, else one of the file system. Labels that are not all
  /// integers are numbered in the order of the alphabet.
  std::string labels = {};
};

/// Whether a file of this name is taken for an image: .png, .jpg or .jpeg.
bool is_image_name(const std::string& name);

/// `image(i)`, uint8 [3, side, side], for i in [0, count), side by side: uint8 [count, 3, side,
/// side]. Made on all of ATen's threads; throws what one of them threw.
Tensor stack_images(int64_t count, int64_t side, const std::function<Tensor(int64_t)>& image);

/// The PNG and JPEG files below a folder or in a tar (see io/file_tree.h), in the order of their
/// paths, as uint8 [3, size, size]: shrunk by area until the shorter side fits, then cut to the
/// middle. Images are decoded when they are asked for, on all of ATen's threads; one that is
/// damaged makes get() throw InputError with its name.
std::shared_ptr<const Dataset> open_images(const std::filesystem::path& root,
                                           const ImageOptions& options);

}  // namespace bitdiff
