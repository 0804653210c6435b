#pragma once

#include <memory>
#include <vector>

#include "bitdiff/cuda/recorder.h"
#include "bitdiff/diffusion/denoiser.h"

namespace bitdiff {

/// `net` with its calls recorded: the same answers and the same gradients for fewer launches.
///
/// The first call of each kind (shapes, with gradients or without, autocast, dropout) is recorded
/// on a recorder of its own, forwards and backwards; those that follow copy their inputs and
/// repeat it. `parameters`: all that `net` learns, which must stay where they are in memory. Of two
/// calls of one kind the first must not go backwards after the second: that throws c10::Error. The
/// first call of a network that cannot be recorded throws UsageError.
std::unique_ptr<Denoiser> recorded(std::unique_ptr<Denoiser> net, std::vector<Tensor> parameters,
                                   cuda::MakeRecorder make_recorder);

}  // namespace bitdiff
