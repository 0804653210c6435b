#pragma once

#include <CLI/App.hpp>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "bitdiff/model/draw.h"

namespace bitdiff {

/// The flags of every command that draws samples.
struct SamplingFlags {
  std::string model;
  std::optional<int64_t> steps;
  std::optional<double> td;
  std::string solver;
  std::vector<std::string> set;
  int64_t seed = 0;
  int64_t micro_batch = 16;
  std::optional<int64_t> label;
  std::string device = "cpu";
  bool bf16 = false;
  bool int8 = false;
  bool cuda_graphs = false;

  /// Adds the model and the flags to `command`; this must live as long.
  void add_to(CLI::App& command);

  /// What the checkpoint's config says, changed by the flags. Throws UsageError.
  DrawOptions options(const std::filesystem::path& checkpoint) const;

  /// The model, on the device and in 8-bit integers if so asked. Throws UsageError where there is
  /// no such device, and for a model that does not offer it.
  Model model_of(const std::filesystem::path& checkpoint) const;

 private:
  /// Throws UsageError for an assignment of anything but an option of `section`.
  void check_set(const std::string& section) const;
};

}  // namespace bitdiff
