#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "bitdiff/cuda/recorder.h"
#include "bitdiff/nn/parameters.h"
#include "bitdiff/nn/recorded.h"

namespace bitdiff {

/// `net` with its calls recorded as CUDA graphs. Throws std::runtime_error where those are missing.
inline std::unique_ptr<Denoiser> recorded_on_gpu(std::unique_ptr<Denoiser> net,
                                                 const Parameters& parameters) {
  std::string missing;
  auto make_recorder = cuda::open_graphs(missing);
  if (!make_recorder) throw std::runtime_error("--cuda-graphs: " + missing);
  return recorded(std::move(net), parameters.tensors(), std::move(make_recorder));
}

}  // namespace bitdiff
