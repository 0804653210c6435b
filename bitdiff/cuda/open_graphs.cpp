#include <dlfcn.h>
#include <string>

#include "bitdiff/cuda/recorder.h"

namespace bitdiff::cuda {

MakeRecorder open_graphs(std::string& missing) {
  auto* const handle = dlopen("libbitdiff_graphs.so", RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    missing = dlerror();
    return {};
  }
  auto* const entry = reinterpret_cast<GraphsEntry>(dlsym(handle, kGraphsEntry));
  if (!entry) {
    missing = "libbitdiff_graphs.so is of another version, build both anew";
    return {};
  }
  return [entry](at::Device device) {
    std::unique_ptr<Recorder> recorder;
    entry(device, recorder);
    return recorder;
  };
}

}  // namespace bitdiff::cuda
