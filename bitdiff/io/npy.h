#pragma once

#include <string>

#include "bitdiff/base/tensor.h"
#include "bitdiff/io/byte_source.h"

namespace bitdiff {

/// The array of a .npy; see read_arrays. Throws InputError.
/// Format: numpy.lib.format, versions 1.0 to 3.0.
Tensor read_npy(const ByteSource& source);

/// What stands before the data of `array` in a .npy of version 1.0.
std::string npy_header(const Tensor& array);

}  // namespace bitdiff
