#include "bitdiff/io/tar.h"

#include <algorithm>
#include <archive.h>
#include <archive_entry.h>
#include <memory>
#include <new>

#include "bitdiff/base/error.h"
#include "bitdiff/io/file.h"

namespace bitdiff {
namespace {

namespace fs = std::filesystem;

struct Free {
  void operator()(archive* tar) const { archive_read_free(tar); }
};
using Archive = std::unique_ptr<archive, Free>;

std::string reason(archive* tar) {
  const char* text = archive_error_string(tar);
  return text ? printable(text) : "damaged";
}

Archive open_tar(const fs::path& path) {
  const InputFile exists(path);  // Says what is wrong in our words.
  Archive tar(archive_read_new());
  if (!tar) throw std::bad_alloc();
  archive_read_support_format_tar(tar.get());
  archive_read_support_filter_gzip(tar.get());
  archive_read_support_filter_bzip2(tar.get());
  archive_read_support_filter_xz(tar.get());
  archive_read_support_filter_zstd(tar.get());
  constexpr size_t kBlock = 1 << 16;
  if (archive_read_open_filename(tar.get(), path.c_str(), kBlock) != ARCHIVE_OK) {
    throw InputError(path.string(), ": not a whole tar: ", reason(tar.get()));
  }
  return tar;
}

// "./a/b" is a/b.
std::string name_of(archive_entry* entry) {
  const char* name = archive_entry_pathname(entry);
  return name ? fs::path(name).lexically_normal().generic_string() : "";
}

void check_member(archive_entry* entry, const std::string& where) {
  const fs::path path = archive_entry_pathname(entry);
  if (path.is_absolute() || std::find(path.begin(), path.end(), "..") != path.end()) {
    throw InputError(where, ": expected a relative name without \"..\"");
  }
  if (archive_entry_hardlink(entry) || archive_entry_filetype(entry) == AE_IFLNK) {
    throw InputError(where, ": expected a file, found a link; make the tar with",
                     " --dereference --hard-dereference");
  }
}

std::string read_member(archive* tar, uint64_t size, const std::string& where) {
  constexpr uint64_t kStep = 1 << 20;  // So that only bytes that are there take memory.
  std::string bytes;
  while (bytes.size() < size) {
    const size_t had = bytes.size();
    bytes.resize(had + std::min(kStep, size - had));
    const auto got = archive_read_data(tar, bytes.data() + had, bytes.size() - had);
    if (got <= 0) {
      throw InputError(where, ": cannot be unpacked: ", got == 0 ? "it ends early" : reason(tar));
    }
    bytes.resize(had + static_cast<size_t>(got));
  }
  return bytes;
}

}  // namespace

NamedBytes read_tar(const fs::path& path, const std::function<bool(const std::string&)>& wanted,
                    uint64_t most) {
  const auto tar = open_tar(path);
  NamedBytes files;
  uint64_t left = most;
  std::string before;  // Says which member an error stands behind.
  for (;;) {
    archive_entry* entry = nullptr;
    const int status = archive_read_next_header(tar.get(), &entry);
    if (status == ARCHIVE_EOF) return files;
    if (status != ARCHIVE_OK && status != ARCHIVE_WARN) {
      throw InputError(path.string(), ": not a whole tar", before, ": ", reason(tar.get()));
    }
    const auto name = name_of(entry);
    const auto where = path.string() + ": " + printable(name);
    before = ", behind " + printable(name);
    if (archive_entry_filetype(entry) == AE_IFDIR || !wanted(name)) continue;
    check_member(entry, where);
    const auto size = static_cast<uint64_t>(archive_entry_size(entry));
    if (size > left) {
      throw InputError(where, ": expected at most ", most, " bytes in all, found ",
                       most - left + size, "; unpack the tar into a folder, which takes no memory");
    }
    left -= size;
    if (!files.emplace(name, read_member(tar.get(), size, where)).second) {
      throw InputError(where, ": stands there twice");
    }
  }
}

}  // namespace bitdiff
