#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace bitdiff {

/// A file that is read from its beginning to its end, with errors that say where it stopped.
class InputFile {
 public:
  /// Throws InputError when `path` is not a file that can be read.
  explicit InputFile(const std::filesystem::path& path);

  const std::string& name() const { return name_; }
  uint64_t size() const { return size_; }

  /// The next `count` bytes. Throws InputError when the file has fewer.
  void read(void* to, uint64_t count);

 private:
  std::string name_;
  std::ifstream stream_;
  uint64_t size_ = 0;
  uint64_t position_ = 0;
};

/// All bytes of a file. Throws InputError when it cannot be read or has more than `most` bytes.
std::string read_file(const std::filesystem::path& path, uint64_t most = uint64_t{1} << 40);

/// Text from a file as errors show it: on one line and at most 80 bytes.
std::string printable(std::string_view text);

}  // namespace bitdiff
