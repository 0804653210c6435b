#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace bitdiff {

/// The folder of a training run, held by one process:
///
///   config.toml  metrics.jsonl  samples/  checkpoints/step-00001000/
class RunFolder {
 public:
  /// Takes hold of `path`, which is made if need be. Throws BusyError when another process holds
  /// it, UsageError when it is a checkpoint, or has a run in it and `resume` is false,
  /// StorageError.
  RunFolder(std::filesystem::path path, bool resume);
  ~RunFolder();
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path checkpoint(int64_t step) const;
  /// `extension`: ".png" or ".txt".
  std::filesystem::path sample(int64_t step, const std::string& extension) const;

  void write_config(const std::string& text) const;

  /// Adds one line to metrics.jsonl.
  void add_metrics(const std::string& line) const;
  /// Drops the lines of steps after `step`, which the run will write again.
  void rewind_metrics(int64_t step) const;
  /// Removes all checkpoints but the newest `keep`.
  void prune(int64_t keep) const;

 private:
  std::filesystem::path path_;
  int lock_ = -1;
};

}  // namespace bitdiff
