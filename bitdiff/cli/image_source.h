#pragma once

#include <filesystem>

#include "bitdiff/metrics/features.h"

namespace bitdiff {

/// The images at a path: a .npz or .npy of uint8 [N, 3, H, W] or [N, H, W, 3]; one of categories
/// [N, 1, H, W] or [N, H, W], which take their colours from `palette`, or from an array "palette"
/// beside them; a folder of CIFAR-10 binaries or one of them; a folder or tar of PNG and JPEG files
/// of one size; a config, whose section [data] names what a model is trained on. In a .npz the
/// images are "arr_0", or the only array but "palette" and "arr_1".
///
/// `palette`: a .npz with an array "palette", integers [K, 3] in 0..255; or empty. The hash is that
/// of the pixels, for folders of PNG and JPEG that of the files. Throws InputError.
ImageSet open_image_set(const std::filesystem::path& path, const std::filesystem::path& palette);

}  // namespace bitdiff
