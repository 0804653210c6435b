#pragma once

#include <string>

#include "bitdiff/base/tensor.h"

namespace bitdiff {

/// The pixels of a JPEG as uint8 [3, H, W]; see read_image. `name`: what errors call it.
Tensor decode_jpeg(const std::string& bytes, const std::string& name);

}  // namespace bitdiff
