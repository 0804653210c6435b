#include <string>
#include <type_traits>
#include <vector>

#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGuard.h>

#include "bitdiff/cuda/recorder.h"

namespace bitdiff::cuda {
namespace {

class Graphs final : public Recorder {
 public:
  explicit Graphs(at::Device device)
      : stream_(c10::cuda::getStreamFromPool(/*isHighPriority=*/false, device.index())),
        memory_(at::cuda::graph_pool_handle()) {}

  void rehearse(const Work& work) override {
    const Aside aside(stream_);
    work();
  }

  size_t record(const Work& work) override {
    const Aside aside(stream_);
    // A recording takes new memory, and what others have set aside is not given up for it.
    c10::cuda::CUDACachingAllocator::emptyCache();
    auto graph = std::make_unique<at::cuda::CUDAGraph>();
    // Other threads may talk to the GPU meanwhile: the loader's, NCCL's.
    graph->capture_begin(memory_, cudaStreamCaptureModeThreadLocal);
    try {
      work();
    } catch (...) {
      ignore([&] { graph->capture_end(); });
      throw;
    }
    graph->capture_end();
    graphs_.push_back(std::move(graph));
    return graphs_.size() - 1;
  }

  void repeat(size_t number) override { graphs_.at(number)->replay(); }

 private:
  /// The GPU's work goes to the stream while it lives, after all that was before and before all
  /// that comes after.
  class Aside {
   public:
    explicit Aside(c10::cuda::CUDAStream stream) : guard_(stream) {
      c10::cuda::device_synchronize();
    }
    ~Aside() {
      ignore([] { c10::cuda::device_synchronize(); });
    }
    Aside(const Aside&) = delete;
    Aside& operator=(const Aside&) = delete;

   private:
    c10::cuda::CUDAStreamGuard guard_;
  };

  /// Does what may fail where an error is already on its way, or comes up at the next call.
  template <class Action>
  static void ignore(const Action& action) {
    try {
      action();
    } catch (const c10::Error& error) {
      const std::string what = error.what_without_backtrace();
      TORCH_WARN(what.substr(0, what.find('\n')));
    }
  }

  c10::cuda::CUDAStream stream_;
  at::cuda::MempoolId_t memory_;
  std::vector<std::unique_ptr<at::cuda::CUDAGraph>> graphs_;
};

}  // namespace
}  // namespace bitdiff::cuda

extern "C" {

void bitdiff_cuda_graphs_1(at::Device device, std::unique_ptr<bitdiff::cuda::Recorder>& recorder) {
  recorder = std::make_unique<bitdiff::cuda::Graphs>(device);
}

}  // extern "C"

static_assert(std::is_same_v<decltype(&bitdiff_cuda_graphs_1), bitdiff::cuda::GraphsEntry>);
