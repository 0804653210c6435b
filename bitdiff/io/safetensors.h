#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "bitdiff/io/named_tensors.h"

namespace bitdiff {

/// What a .safetensors file holds.
struct TensorFile {
  NamedTensors tensors;                         ///< In the order of their bytes.
  std::map<std::string, std::string> metadata;  ///< "__metadata__" of the header.
};

/// Reads a .safetensors file onto the CPU: F64, F32, F16, BF16, I64, I32, I16, I8, U8, BOOL.
///
/// Nothing the file says is believed: header, shapes and places are checked before memory is taken.
/// Throws InputError that names file, tensor, expected and found.
/// Format: https://github.com/huggingface/safetensors#format
TensorFile read_safetensors(const std::filesystem::path& path);

/// Writes a .safetensors file, tensors in the order given, atomically. The same tensors make the
/// same bytes. Throws StorageError.
void write_safetensors(const std::filesystem::path& path, const TensorFile& file);

}  // namespace bitdiff
