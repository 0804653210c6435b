#include "bitdiff/model/cuda_graphs.h"

#include <string>
#include <utility>

#include "bitdiff/base/error.h"
#include "bitdiff/cuda/recorder.h"
#include "bitdiff/nn/recorded.h"

namespace bitdiff {

void use_cuda_graphs(Model& model) {
  if (!model.parameters.device().is_cuda()) {
    throw UsageError("--cuda-graphs: expected --device cuda, found ", model.parameters.device());
  }
  if (!model.net)
    throw UsageError("--cuda-graphs: this model is autoregressive, and only what denoises is ",
                     "recorded; leave it out");
  std::string missing;
  auto make_recorder = cuda::open_graphs(missing);
  if (!make_recorder) {
    throw UsageError("--cuda-graphs: ", missing,
                     "; it is built where nvcc and a LibTorch with CUDA of one version are; leave ",
                     "--cuda-graphs out to do without");
  }
  model.net = recorded(std::move(model.net), model.parameters.tensors(), std::move(make_recorder));
}

}  // namespace bitdiff
