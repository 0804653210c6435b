#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "bitdiff/cuda/recorder.h"
#include "bitdiff/diffusion/denoiser.h"

namespace bitdiff {

/// How many kinds of calls recorded() records at most.
inline constexpr size_t kMostKinds = 16;

/// `net` with its calls recorded: the same answers and the same gradients for fewer launches.
///
/// The first call of each kind (shapes, with gradients or without, autocast, the seed of dropout)
/// is rehearsed and recorded on a recorder of its own, forwards and backwards; those that follow
/// copy their inputs and repeat it, casts of weights included. Each kind keeps its memory as long
/// as the network lives, so kinds beyond kMostKinds are not recorded but called.
///
/// `parameters`: all that `net` learns, which must stay where they are in memory; no graph of
/// gradients of those that forward() uses, and no earlier answer, may be alive at the first call of
/// a kind with gradients. An answer can go backwards once, before the next call of its kind: else
/// that throws c10::Error. The first call of a network that cannot be recorded throws UsageError.
std::unique_ptr<Denoiser> recorded(std::unique_ptr<Denoiser> net, std::vector<Tensor> parameters,
                                   cuda::MakeRecorder make_recorder);

}  // namespace bitdiff
