#pragma once

#include <filesystem>

#include "bitdiff/data/dataset.h"
#include "bitdiff/io/image.h"

namespace bitdiff {

/// Whether examples of this data set can be shown as pictures: [C, H, W] of one or three channels,
/// or of one channel with a palette.
bool is_picture(const DataInfo& data);

/// Integers [N, C, H, W] as colours, uint8 [N, 3, H, W]: by the palette if there is one, else 0 is
/// black and K - 1 full light; one channel is grey.
Tensor to_rgb(const Tensor& x, const DataInfo& data);

/// Writes samples side by side as a PNG of about square shape, small images enlarged. `texts` go
/// into the file.
void write_sheet(const std::filesystem::path& path, const Tensor& x, const DataInfo& data,
                 const ImageTexts& texts = {});

}  // namespace bitdiff
