#pragma once

#include "bitdiff/base/options.h"
#include "bitdiff/base/tensor.h"

namespace bitdiff {

enum class Filter {
  kArea,      ///< The mean of the pixels that each new one covers: Pillow's BOX.
  kBilinear,  ///< Pillow's BILINEAR.
  kBicubic,   ///< Pillow's BICUBIC, a = -0.5.
};

struct ImageSize {
  int64_t height = 0;
  int64_t width = 0;
};

/// Resizes uint8 [C, H, W] to [C, size.height, size.width], bit for bit as Image.resize of Pillow
/// 13 does: filters widen when an image shrinks; rows come before columns, unless more than twice
/// as many pixels go from the height as from the width (Pillow 12 knows no such exception); rounded
/// to 8 bits between.
Tensor resize(const Tensor& image, ImageSize size, Filter filter);

/// uint8 [C, H, W], shrunk or grown so that its shorter side is `side`, and the middle `side` x
/// `side` of that.
Tensor resize_and_crop(const Tensor& image, int64_t side, Filter filter);

}  // namespace bitdiff
