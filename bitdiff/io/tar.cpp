#include "bitdiff/io/tar.h"

#include <algorithm>
#include <archive.h>
#include <archive_entry.h>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <new>
#include <system_error>
#include <utility>

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

using Wanted = std::function<bool(const std::string&)>;

constexpr size_t kBlock = 1 << 16;

Archive new_archive() {
  Archive tar(archive_read_new());
  if (!tar) throw std::bad_alloc();
  archive_read_support_format_tar(tar.get());
  return tar;
}

Archive open_tar(const fs::path& path) {
  const InputFile exists(path);  // Says what is wrong in our words.
  auto tar = new_archive();
  archive_read_support_filter_gzip(tar.get());
  archive_read_support_filter_bzip2(tar.get());
  archive_read_support_filter_xz(tar.get());
  archive_read_support_filter_zstd(tar.get());
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

// Calls work(entry, name, where) for each file that is wanted.
template <class Work>
void for_each_member(archive* tar, const fs::path& path, const Wanted& wanted, const Work& work) {
  std::string before;  // Says which member an error stands behind.
  for (;;) {
    archive_entry* entry = nullptr;
    const int status = archive_read_next_header(tar, &entry);
    if (status == ARCHIVE_EOF) return;
    if (status != ARCHIVE_OK && status != ARCHIVE_WARN) {
      throw InputError(path.string(), ": not a whole tar", before, ": ", reason(tar));
    }
    const auto name = name_of(entry);
    const auto where = path.string() + ": " + printable(name);
    before = ", behind " + printable(name);
    if (archive_entry_filetype(entry) == AE_IFDIR || !wanted(name)) continue;
    check_member(entry, where);
    work(entry, name, where);
  }
}

uint64_t size_of(archive_entry* entry) { return static_cast<uint64_t>(archive_entry_size(entry)); }

struct Close {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

}  // namespace

NamedBytes read_tar(const fs::path& path, const Wanted& wanted, uint64_t most) {
  const auto tar = open_tar(path);
  NamedBytes files;
  uint64_t left = most;
  for_each_member(tar.get(), path, wanted,
                  [&](archive_entry* entry, const std::string& name, const std::string& where) {
                    const uint64_t size = size_of(entry);
                    if (size > left) {
                      throw InputError(
                          where, ": expected at most ", most, " bytes in all, found ",
                          most - left + size,
                          "; cut it into several plain tars in a folder, or unpack it");
                    }
                    left -= size;
                    if (!files.emplace(name, read_member(tar.get(), size, where)).second) {
                      throw InputError(where, ": stands there twice");
                    }
                  });
  return files;
}

std::vector<TarMember> list_tar(const fs::path& path, const Wanted& wanted) {
  const auto tar = open_tar(path);
  std::vector<TarMember> members;
  const auto check_plain = [&](const std::string& name) {
    if (archive_filter_code(tar.get(), 0) != ARCHIVE_FILTER_NONE) {
      throw InputError(path.string(), ": expected a plain tar among several, for they are read in",
                       " pieces, found one compressed by ", archive_filter_name(tar.get(), 0),
                       "; uncompress it");
    }
    return wanted(name);
  };
  for_each_member(tar.get(), path, check_plain,
                  [&](archive_entry* /*entry*/, const std::string& name, const std::string&) {
                    members.push_back({name, archive_read_header_position(tar.get())});
                  });
  return members;
}

std::string read_tar_member(const fs::path& path, const TarMember& member, uint64_t most) {
  const auto where = path.string() + ": " + printable(member.name);
  const std::unique_ptr<std::FILE, Close> file(std::fopen(path.c_str(), "rb"));
  if (!file) throw InputError(where, ": cannot be read: ", std::generic_category().message(errno));
  const auto tar = new_archive();
  archive_entry* entry = nullptr;
  if (::fseeko(file.get(), member.at, SEEK_SET) != 0 ||
      archive_read_open_FILE(tar.get(), file.get()) != ARCHIVE_OK ||
      archive_read_next_header(tar.get(), &entry) < ARCHIVE_WARN || name_of(entry) != member.name) {
    throw InputError(where, ": is not where it was; the tar was changed while in use");
  }
  const uint64_t size = size_of(entry);
  if (size > most) {
    throw InputError(where, ": expected at most ", most, " bytes, found ", size);
  }
  return read_member(tar.get(), size, where);
}

}  // namespace bitdiff
