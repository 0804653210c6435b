#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "bitdiff/data/dataset.h"
#include "bitdiff/io/named_tensors.h"
#include "bitdiff/model/model.h"

namespace bitdiff {

/// A model in training as a folder (docs/formats.md):
///
///   config.toml            the resolved config
///   state.json             step, seed, the data's shape and categories, the order of bits
///   model.safetensors      the weights
///   ema.safetensors        their average, which sampling uses
///   optimizer.safetensors  moments, for training to go on
///   tokenizer.model        of text, unless its tokens are bytes
struct Checkpoint {
  std::string config;
  int64_t step = 0;
  int64_t seed = 0;
  DataInfo data;
  NamedTensors weights;
  NamedTensors ema;
  NamedTensors optimizer;
};

/// Writes the folder under a temporary name, syncs it and renames it to `folder`, so that it is
/// there whole or not at all. Throws StorageError.
void save_checkpoint(const std::filesystem::path& folder, const Checkpoint& checkpoint);

/// The name of a step's folder, "step-00001000".
std::string checkpoint_name(int64_t step);

/// Whether a folder holds a checkpoint.
bool is_checkpoint(const std::filesystem::path& folder);

/// The file of a checkpoint's own tokenizer; empty where it has none.
std::filesystem::path tokenizer_of(const std::filesystem::path& folder);

/// The checkpoints of a run that are named as checkpoint_name says, oldest first.
std::vector<std::filesystem::path> list_checkpoints(const std::filesystem::path& run);

/// `path` if it is a checkpoint, else the newest checkpoint of the run `path`. Throws InputError
/// when it is neither.
std::filesystem::path find_checkpoint(const std::filesystem::path& path);

/// Everything in a checkpoint. Throws InputError, naming the file and what is wrong with it.
Checkpoint load_checkpoint(const std::filesystem::path& folder);

/// The model of a checkpoint with its averaged weights, for sampling.
Model load_model(const std::filesystem::path& folder, at::Device device = at::kCPU);

}  // namespace bitdiff
