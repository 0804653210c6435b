#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include <c10/core/Device.h>

namespace bitdiff::cuda {

/// Work on a GPU that is recorded once and then repeated at the cost of a single launch: CUDA
/// graphs.
///
/// Recorded work must use the same memory each time and never wait for the GPU. All that it
/// allocates is the recorder's, and is there as long as that.
class Recorder {
 public:
  using Work = std::function<void()>;

  Recorder() = default;
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;
  virtual ~Recorder() = default;

  /// Does `work` where it will be recorded, so that libraries find their way before.
  virtual void rehearse(const Work& work) = 0;

  /// Records `work` without doing it, and returns its number. Throws what it throws, and
  /// c10::Error where it cannot be recorded; the GPU's memory is then not to be used any more.
  virtual size_t record(const Work& work) = 0;

  /// Does what was recorded as `number`, on the current stream.
  virtual void repeat(size_t number) = 0;
};

using MakeRecorder = std::function<std::unique_ptr<Recorder>(at::Device)>;

/// The name of the one function of libbitdiff_graphs.so, which alone links to LibTorch's CUDA
/// libraries for this. Changes when anything above does.
inline constexpr const char* kGraphsEntry = "bitdiff_cuda_graphs_1";
using GraphsEntry = void (*)(at::Device device, std::unique_ptr<Recorder>& recorder);

/// What makes recorders on GPUs, or an empty function and why in `missing`: libbitdiff_graphs.so
/// cannot be opened or is of another version. It is looked for as libbitdiff_cuda.so is.
MakeRecorder open_graphs(std::string& missing);

}  // namespace bitdiff::cuda
