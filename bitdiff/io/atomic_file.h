#pragma once

#include <filesystem>
#include <functional>
#include <string_view>

namespace bitdiff {

/// Calls `write` with a temporary name in the same folder, syncs what it wrote and renames it to
/// `path`: whoever opens `path` finds the old file or the whole new one, even after a power cut.
/// When `write` throws, nothing is left. Throws StorageError.
void write_file_atomically(const std::filesystem::path& path,
                           const std::function<void(const std::filesystem::path&)>& write);

/// The same for bytes at hand.
void write_file_atomically(const std::filesystem::path& path, std::string_view bytes);

/// Writes a file piece by piece: `append` may be called any number of times, then `close`.
/// Neither syncs. Throws StorageError with the system's reason.
class OutputFile {
 public:
  explicit OutputFile(const std::filesystem::path& path);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void append(const void* bytes, size_t count);
  void close();

 private:
  std::filesystem::path path_;
  int descriptor_;
};

/// Syncs every file below the folder `temporary` and renames it to `folder`, in the same file
/// system: `folder` is there whole or not at all. A folder that was there before is replaced.
/// Throws StorageError.
void publish_folder(const std::filesystem::path& temporary, const std::filesystem::path& folder);

}  // namespace bitdiff
