#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace bitdiff {

/// Bytes of files by name: the path from the root, with '/'.
using NamedBytes = std::map<std::string, std::string>;

/// Reads the files of a tar whose names `wanted` accepts. The tar may be plain or compressed by
/// gzip, bzip2, xz or zstd, told apart by content. A leading "./" is no part of a name.
///
/// Nothing is written to the disk, and no size that the tar claims is believed before memory is
/// taken. Throws InputError, naming tar and member, for a tar that is damaged or cut short, a
/// wanted member that is a link, has an absolute name or one with "..", or stands there twice, and
/// when the wanted members have more than `most` bytes together.
NamedBytes read_tar(const std::filesystem::path& path,
                    const std::function<bool(const std::string&)>& wanted, uint64_t most);

/// A file in a plain tar.
struct TarMember {
  std::string name;
  int64_t at;  ///< Where its header begins, in bytes.
};

/// The files of a plain tar whose names `wanted` accepts, in the order in which they lie there.
/// Throws InputError as read_tar does, and for a compressed tar.
std::vector<TarMember> list_tar(const std::filesystem::path& path,
                                const std::function<bool(const std::string&)>& wanted);

/// The bytes of one of them, at most `most`. Throws InputError, also where the tar is not the one
/// that was listed any more.
std::string read_tar_member(const std::filesystem::path& path, const TarMember& member,
                            uint64_t most);

}  // namespace bitdiff
