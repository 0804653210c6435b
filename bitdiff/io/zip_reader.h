#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bitdiff/io/byte_source.h"

struct zip;

namespace bitdiff {

/// Reads the members of a zip archive that may be hostile: nothing it says is believed before
/// memory is taken. What throws throws InputError.
class ZipReader {
 public:
  /// `kind`: what the file was expected to be, such as ".npz".
  ZipReader(const std::filesystem::path& path, const std::string& kind);

  /// The names of the members, each once, in the order of the archive.
  const std::vector<std::string>& names() const { return names_; }

  /// Calls `use` with member `index`, which errors call `where`; afterwards checks that `use` read
  /// all of it and that its sum is right.
  void read(size_t index, const std::string& where,
            const std::function<void(const ByteSource&)>& use);

 private:
  struct Discard {
    void operator()(zip* archive) const;
  };

  std::unique_ptr<zip, Discard> archive_;
  std::vector<std::string> names_;
  uint64_t left_;  // Bytes of the file that the members read so far have left.
};

}  // namespace bitdiff
