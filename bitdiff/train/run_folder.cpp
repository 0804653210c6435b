#include "bitdiff/train/run_folder.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sys/file.h>
#include <unistd.h>
#include <utility>

#include "bitdiff/base/error.h"
#include "bitdiff/io/atomic_file.h"
#include "bitdiff/model/checkpoint.h"

namespace bitdiff {
namespace {

namespace fs = std::filesystem;

/// The step a line of metrics.jsonl tells of, or -1 when the line is cut short.
int64_t step_of(const std::string& line) {
  const auto json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  return json.is_object() && json.contains("step") ? json["step"].get<int64_t>() : -1;
}

}  // namespace

RunFolder::RunFolder(fs::path path, bool resume) : path_(std::move(path)) {
  if (is_checkpoint(path_)) {
    throw UsageError(path_.string(), ": expected a run folder, found a checkpoint of one");
  }
  if (!resume && !list_checkpoints(path_).empty()) {
    throw UsageError(path_.string(), ": has a run in it; give --resume to go on, or another --out");
  }
  std::error_code error;
  fs::create_directories(path_ / "checkpoints", error);
  if (!error) fs::create_directories(path_ / "samples", error);
  if (error) throw StorageError(path_.string(), ": cannot be made: ", error.message());
  const auto file = path_ / ".lock";
  lock_ = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock_ < 0) throw StorageError(file.string(), ": cannot be made: ", std::strerror(errno));
  if (::flock(lock_, LOCK_EX | LOCK_NB) != 0) {
    ::close(lock_);
    throw BusyError(path_.string(), ": another process is training in this run folder");
  }
}

RunFolder::~RunFolder() { ::close(lock_); }

fs::path RunFolder::checkpoint(int64_t step) const {
  return path_ / "checkpoints" / checkpoint_name(step);
}

fs::path RunFolder::sample(int64_t step, const std::string& extension) const {
  return path_ / "samples" / (checkpoint_name(step) + extension);
}

void RunFolder::write_config(const std::string& text) const {
  write_file_atomically(path_ / "config.toml", text);
}

void RunFolder::add_metrics(const std::string& line) const {
  std::ofstream file(path_ / "metrics.jsonl", std::ios::app);
  file << line << '\n' << std::flush;
  if (!file) throw StorageError((path_ / "metrics.jsonl").string(), ": cannot be written");
}

void RunFolder::rewind_metrics(int64_t step) const {
  std::ifstream file(path_ / "metrics.jsonl");
  if (!file) return;
  std::string kept;
  for (std::string line; std::getline(file, line);) {
    const int64_t of = step_of(line);
    if (of >= 0 && of <= step) kept += line + "\n";
  }
  write_file_atomically(path_ / "metrics.jsonl", kept);
}

void RunFolder::prune(int64_t keep) const {
  const auto all = list_checkpoints(path_);
  std::error_code ignored;
  for (size_t i = 0; i + static_cast<size_t>(keep) < all.size(); ++i)
    fs::remove_all(all[i], ignored);
}

}  // namespace bitdiff
