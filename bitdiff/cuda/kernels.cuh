#pragma once

#include "bitdiff/cuda/interface.h"

/// What the files of this folder define for the library's table.
namespace bitdiff::cuda {

const char* group_norm(const GroupNormCall& call, Place place);
const char* group_norm_gradient(const GroupNormGradientCall& call, Place place);
const char* layer_norm(const LayerNormCall& call, Place place);
const char* layer_norm_gradient(const LayerNormGradientCall& call, Place place);
const char* random(const RandomCall& call, Place place);

}  // namespace bitdiff::cuda
