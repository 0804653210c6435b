#pragma once

#include <filesystem>

#include "bitdiff/io/named_tensors.h"

namespace bitdiff {

/// Reads NumPy's .npy (as "arr_0") or .npz, told apart by content: booleans, integers, float16,
/// float32 and float64, little-endian, in C or Fortran order, formats 1 to 3.
///
/// Types that tensors lack are widened: uint16 to int32, uint32 and uint64 to int64 (a value above
/// 2^63 - 1 is an error). Object arrays, which are pickles, are refused. Nothing the file says is
/// believed before memory is taken. Throws InputError that names file, array, expected and found.
NamedTensors read_arrays(const std::filesystem::path& path);

/// Writes one array as .npy, atomically: bool, uint8, int8, int16, int32, int64, float16, float32,
/// float64. Throws StorageError.
void write_npy(const std::filesystem::path& path, const Tensor& array);

/// Writes arrays as a compressed .npz that NumPy reads, atomically. The same arrays make the same
/// bytes. Throws StorageError.
void write_npz(const std::filesystem::path& path, const NamedTensors& arrays);

}  // namespace bitdiff
