#pragma once

#include <cstdint>
#include <string>

#include "bitdiff/base/error.h"

namespace bitdiff {

/// Pixels a side and in all that images may have: what a small hostile file can make us allocate.
constexpr int64_t kMostSide = 16384;
constexpr int64_t kMostPixels = int64_t{1} << 26;

/// Throws InputError when an image is too large.
inline void check_image_size(int64_t height, int64_t width, const std::string& name) {
  if (height <= kMostSide && width <= kMostSide && height * width <= kMostPixels) return;
  throw InputError(name, ": expected an image of at most ", kMostSide, " pixels a side and ",
                   kMostPixels, " in all, found ", width, " x ", height);
}

}  // namespace bitdiff
