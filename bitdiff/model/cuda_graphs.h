#pragma once

#include "bitdiff/model/model.h"

namespace bitdiff {

/// From now on the calls of model.net are recorded on the model's GPU and repeated (nn/recorded.h).
/// Throws UsageError for a model on a CPU, one without a Denoiser, and where libbitdiff_graphs.so
/// is missing.
void use_cuda_graphs(Model& model);

}  // namespace bitdiff
