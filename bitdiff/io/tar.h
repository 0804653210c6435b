#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>

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

}  // namespace bitdiff
