#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "bitdiff/base/tensor.h"

namespace bitdiff {

/// Bytes that come one after the other, from a file or from a member of an archive.
struct ByteSource {
  std::string name;                                    ///< What errors call it.
  uint64_t size = 0;                                   ///< How many bytes there are in all.
  std::function<void(void* to, uint64_t count)> read;  ///< The next bytes; throws when they end.
};

/// The array of a .npy; see read_arrays. Throws InputError.
/// Format: numpy.lib.format, versions 1.0 to 3.0.
Tensor read_npy(const ByteSource& source);

/// What stands before the data of `array` in a .npy of version 1.0.
std::string npy_header(const Tensor& array);

}  // namespace bitdiff
