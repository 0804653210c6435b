#pragma once

#include <ATen/core/Tensor.h>

#include "bitdiff/cuda/interface.h"

/// The bridge from tensors to libbitdiff_cuda.so.
namespace bitdiff::cuda {

/// The table of libbitdiff_cuda.so, or null where it cannot be opened or is of another version:
/// LibTorch's operations do the same then.
const Kernels* library();

/// Where kernels on `x` run: in main memory it says nothing.
Place place_of(const at::Tensor& x);

/// Throws c10::Error with what a kernel returned, if anything.
void check(const char* error);

/// Whether kernels take the type of `x`: float32 and bfloat16.
bool takes_type_of(const at::Tensor& x);
Type type_of(const at::Tensor& x);

}  // namespace bitdiff::cuda
