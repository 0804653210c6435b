#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/DeviceGuard.h>

#include "bitdiff/cuda/interface.h"

/// The bridge from tensors to libbitdiff_cuda.so.
namespace bitdiff::cuda {

/// The table of libbitdiff_cuda.so, or null where it cannot be opened or is of another version. It
/// is looked for by name: on the program's RUNPATH, in LD_LIBRARY_PATH and the system's folders.
const Kernels* library();

/// The same for tensors on `device`: null too where that is no GPU or one that cannot run it.
const Kernels* library_for(at::Device device);

/// Where kernels on `x` run, which is LibTorch's current device while this lives. For tensors in
/// main memory it says nothing.
class OnDeviceOf {
 public:
  explicit OnDeviceOf(const at::Tensor& x);
  Place place() const { return place_; }

 private:
  c10::OptionalDeviceGuard guard_;
  Place place_{};
};

/// Throws c10::Error with what a kernel returned, if anything.
void check(const char* error);

/// Whether kernels take the type of `x`: float32 and bfloat16.
bool takes_type_of(const at::Tensor& x);
Type type_of(const at::Tensor& x);

}  // namespace bitdiff::cuda
