#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "bitdiff/base/tensor.h"

namespace bitdiff {

/// Reads a PNG or a JPEG, told apart by content, as uint8 [3, H, W] RGB.
///
/// The pixels are those of Pillow's `Image.open(path).convert("RGB")`: alpha is dropped, gamma and
/// orientation are ignored; but of 16 bits the upper 8 are taken. Throws InputError, naming the
/// file, when it is damaged or cut short, or larger than 16384 pixels a side or 2^26 in all.
Tensor read_image(const std::filesystem::path& path);

/// The same of bytes at hand. `name`: what errors call them.
Tensor decode_image(const std::string& bytes, const std::string& name);

/// Texts that a PNG carries: keyword (1 to 79 Latin-1 characters) and value.
using ImageTexts = std::vector<std::pair<std::string, std::string>>;

/// Writes uint8 [3, H, W] RGB as a PNG, atomically. The same image makes the same bytes. Throws
/// StorageError.
void write_png(const std::filesystem::path& path, const Tensor& image,
               const ImageTexts& texts = {});

struct GridOptions {
  int64_t columns = 8;
  int64_t zoom = 1;     ///< Each pixel becomes zoom x zoom.
  int64_t padding = 2;  ///< White pixels around each image.
};

/// Images uint8 [N, 3, H, W], N > 0, side by side on white, row by row: uint8 [3, H', W'].
Tensor image_grid(const Tensor& images, const GridOptions& options = {});

}  // namespace bitdiff
