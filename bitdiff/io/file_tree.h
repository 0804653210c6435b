#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace bitdiff {

/// Files below a root, which is a folder, a tar or a folder of plain tars, by name: the path from
/// the root or in the tar, with '/'.
class FileTree {
 public:
  FileTree() = default;
  FileTree(const FileTree&) = delete;
  FileTree& operator=(const FileTree&) = delete;
  virtual ~FileTree() = default;

  /// In the order of their paths, folder by folder: "a/x" comes before "a-b/x". Those of a folder
  /// of tars by tar, and there as they lie.
  virtual const std::vector<std::string>& names() const = 0;

  /// The bytes of one of them. Safe to call from several threads. Throws InputError.
  virtual std::string read(const std::string& name) const = 0;

  /// What errors call one of them.
  virtual std::string describe(const std::string& name) const = 0;
};

/// The files whose names `wanted` accepts below a folder; where it has none, in the tars right
/// below it (see list_tar); or in a tar (see read_tar). Those of a folder are read when they are
/// asked for, also in its tars; those of a tar at once, and are kept as they are: a tar may have as
/// many bytes of them as half of the machine's memory. Throws InputError, also where two tars of a
/// folder have files of one name.
std::unique_ptr<const FileTree> open_file_tree(
    const std::filesystem::path& root, const std::function<bool(const std::string&)>& wanted);

}  // namespace bitdiff
