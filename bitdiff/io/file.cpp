#include "bitdiff/io/file.h"

#include <cerrno>
#include <cstring>

#include "bitdiff/base/error.h"

namespace bitdiff {

namespace fs = std::filesystem;

InputFile::InputFile(const fs::path& path) : name_(path.string()) {
  std::error_code error;
  const auto status = fs::status(path, error);
  if (!fs::exists(status)) throw InputError(name_, ": no such file");
  if (!fs::is_regular_file(status)) {
    throw InputError(name_, ": expected a file, found ",
                     fs::is_directory(status) ? "a folder" : "something else");
  }
  size_ = fs::file_size(path, error);
  errno = 0;
  stream_.open(path, std::ios::binary);
  if (error || !stream_) throw InputError(name_, ": cannot be read: ", std::strerror(errno));
}

void InputFile::read(void* to, uint64_t count) {
  stream_.read(static_cast<char*>(to), static_cast<std::streamsize>(count));
  const auto got = static_cast<uint64_t>(stream_.gcount());
  if (got != count) {
    throw InputError(name_, ": ends early: expected ", count, " bytes at byte ", position_,
                     ", found ", got);
  }
  position_ += count;
}

std::string read_file(const fs::path& path, uint64_t most) {
  InputFile file(path);
  if (file.size() > most) {
    throw InputError(file.name(), ": too large: expected at most ", most, " bytes, found ",
                     file.size());
  }
  std::string bytes(file.size(), '\0');
  file.read(bytes.data(), bytes.size());
  return bytes;
}

std::string printable(std::string_view text) {
  std::string shown(text.substr(0, 80));
  for (char& c : shown) c = static_cast<unsigned char>(c) < ' ' ? ' ' : c;
  return shown;
}

}  // namespace bitdiff
