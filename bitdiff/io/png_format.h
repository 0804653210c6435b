#pragma once

#include <string>

#include "bitdiff/base/tensor.h"
#include "bitdiff/io/image.h"

namespace bitdiff {

/// The pixels of a PNG as uint8 [3, H, W]; see read_image. `name`: what errors call it.
Tensor decode_png(const std::string& bytes, const std::string& name);

/// uint8 [3, H, W] as a PNG.
std::string encode_png(const Tensor& image, const ImageTexts& texts);

}  // namespace bitdiff
