#pragma once

#include <filesystem>

#include "bitdiff/io/named_tensors.h"

namespace bitdiff {

/// The tensors of a state dict that torch.save wrote: a dictionary of tensors on the CPU, as a zip
/// archive (PyTorch 1.6 and later) or in the form before that, told apart by content.
///
/// A checkpoint of PyTorch is a pickle, a program that may do anything when Python loads it. Here
/// nothing of it is run: only what a dictionary of tensors needs is understood, and all else is
/// refused. Memory is taken for the bytes that are there, not for those that are claimed: tensors
/// that share a storage in the file share it here. Throws InputError that names file, place,
/// expected and found.
/// Format: torch/serialization.py.
NamedTensors read_torch_state_dict(const std::filesystem::path& path);

}  // namespace bitdiff
