#include "bitdiff/io/atomic_file.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>
#include <utility>

#include "bitdiff/base/error.h"

namespace bitdiff {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const char* what, const fs::path& path, int reason) {
  throw StorageError("cannot ", what, " ", path.string(), ": ", std::strerror(reason));
}

void sync(const fs::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) fail("sync", path, errno);
  const int reason = ::fsync(descriptor) == 0 ? 0 : errno;
  ::close(descriptor);
  // Some file systems cannot sync folders and say so by EINVAL.
  if (reason != 0 && !(reason == EINVAL && fs::is_directory(path))) fail("sync", path, reason);
}

fs::path parent_of(const fs::path& path) {
  const auto parent = path.parent_path();
  return parent.empty() ? fs::path(".") : parent;
}

void rename_to(const fs::path& from, const fs::path& to) {
  if (std::rename(from.c_str(), to.c_str()) != 0) fail("rename to", to, errno);
  sync(parent_of(to));
}

// Removes what has a temporary name, unless it was renamed.
class Temporary {
 public:
  explicit Temporary(fs::path path) : path_(std::move(path)) {}
  ~Temporary() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

fs::path temporary_name(const fs::path& path) {
  auto name = path;
  return name += str(".tmp-", ::getpid());
}

}  // namespace

void write_file_atomically(const fs::path& path,
                           const std::function<void(const fs::path&)>& write) {
  const Temporary temporary(temporary_name(path));
  write(temporary.path());
  sync(temporary.path());
  rename_to(temporary.path(), path);
}

void write_file_atomically(const fs::path& path, std::string_view bytes) {
  write_file_atomically(path, [&](const fs::path& temporary) {
    OutputFile file(temporary);
    file.append(bytes.data(), bytes.size());
    file.close();
  });
}

OutputFile::OutputFile(const fs::path& path)
    : path_(path),
      descriptor_(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)) {
  if (descriptor_ < 0) fail("write", path_, errno);
}

OutputFile::~OutputFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void OutputFile::append(const void* bytes, size_t count) {
  const auto* next = static_cast<const char*>(bytes);
  while (count > 0) {
    const ssize_t written = ::write(descriptor_, next, count);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail("write", path_, errno);
    next += written;
    count -= static_cast<size_t>(written);
  }
}

void OutputFile::close() {
  const int descriptor = std::exchange(descriptor_, -1);
  if (::close(descriptor) != 0) fail("write", path_, errno);
}

void publish_folder(const fs::path& temporary, const fs::path& folder) {
  try {
    for (const auto& entry : fs::recursive_directory_iterator(temporary)) sync(entry.path());
  } catch (const fs::filesystem_error& error) {
    fail("read", temporary, error.code().value());
  }
  sync(temporary);
  if (!fs::exists(folder)) return rename_to(temporary, folder);
  // A folder cannot be renamed onto a full one, but the two can change places.
  if (::renameat2(AT_FDCWD, temporary.c_str(), AT_FDCWD, folder.c_str(), RENAME_EXCHANGE) != 0) {
    fail("replace the folder", folder, errno);
  }
  sync(parent_of(folder));
  std::error_code ignored;
  fs::remove_all(temporary, ignored);
}

}  // namespace bitdiff
