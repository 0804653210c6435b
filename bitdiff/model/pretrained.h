#pragma once

#include <filesystem>

#include "bitdiff/nn/parameters.h"

namespace bitdiff {

/// Fills the Vision Transformer under "encoder." of `parameters` from a .safetensors that names its
/// tensors as timm does (patch_embed.proj.weight, cls_token, pos_embed, blocks.0.norm1.weight,
/// ...); "head.*" is left out, and the connector keeps what it has. Positions of another square
/// grid are resampled (bicubic), as timm does. Throws InputError that names file, tensor, expected
/// and found.
void load_vit(const std::filesystem::path& path, const Parameters& parameters);

}  // namespace bitdiff
