#include "bitdiff/io/zip_reader.h"

#include <algorithm>
#include <set>
#include <zip.h>

#include "bitdiff/base/error.h"
#include "bitdiff/io/file.h"

namespace bitdiff {
namespace {

constexpr uint64_t kMostDeflate = 1032;  // No deflated byte stands for more bytes than that.

struct Close {
  void operator()(zip_file_t* member) const { zip_fclose(member); }
};
using Member = std::unique_ptr<zip_file_t, Close>;

void read_member(zip_file_t* member, const std::string& name, void* to, uint64_t count) {
  auto* next = static_cast<char*>(to);
  while (count > 0) {
    const zip_int64_t got = zip_fread(member, next, std::min<uint64_t>(count, 1 << 30));
    if (got <= 0) {
      throw InputError(
          name, ": cannot be unpacked: ", got == 0 ? "it ends early" : zip_file_strerror(member));
    }
    next += got;
    count -= static_cast<uint64_t>(got);
  }
}

}  // namespace

void ZipReader::Discard::operator()(zip* archive) const { zip_discard(archive); }

ZipReader::ZipReader(const std::filesystem::path& path, const std::string& kind)
    : left_(InputFile(path).size()) {
  int code = 0;
  archive_.reset(zip_open(path.c_str(), ZIP_RDONLY, &code));
  if (!archive_) {
    zip_error_t error;
    zip_error_init_with_code(&error, code);
    const std::string reason = zip_error_strerror(&error);
    zip_error_fini(&error);
    throw InputError(path.string(), ": not a ", kind, ": ", reason);
  }
  std::set<std::string> once;
  const zip_int64_t members = zip_get_num_entries(archive_.get(), 0);
  for (zip_int64_t index = 0; index < members; ++index) {
    const char* name = zip_get_name(archive_.get(), index, 0);
    if (!name) {
      throw InputError(path.string(), ": member ", index, ": ", zip_strerror(archive_.get()));
    }
    if (!once.insert(name).second) {
      throw InputError(path.string(), ": the member \"", printable(name), "\" stands there twice");
    }
    names_.emplace_back(name);
  }
}

void ZipReader::read(size_t index, const std::string& where,
                     const std::function<void(const ByteSource&)>& use) {
  constexpr zip_uint64_t kNeeded =
      ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
  zip_stat_t stat;
  if (zip_stat_index(archive_.get(), index, 0, &stat) != 0 || (stat.valid & kNeeded) != kNeeded ||
      stat.encryption_method != ZIP_EM_NONE ||
      (stat.comp_method != ZIP_CM_STORE && stat.comp_method != ZIP_CM_DEFLATE)) {
    throw InputError(where, ": expected a stored or deflated member without a password");
  }
  if (stat.comp_size > left_ || stat.size / kMostDeflate > stat.comp_size) {
    throw InputError(where, ": cannot unpack to the ", stat.size, " bytes it claims: it has ",
                     stat.comp_size, " of the ", left_, " that the file has for it");
  }
  left_ -= stat.comp_size;
  const Member member(zip_fopen_index(archive_.get(), index, 0));
  if (!member) throw InputError(where, ": cannot be opened: ", zip_strerror(archive_.get()));
  use({where, stat.size,
       [&](void* to, uint64_t count) { read_member(member.get(), where, to, count); }});
  // Reading past the end is what checks the sum.
  char extra = 0;
  if (zip_fread(member.get(), &extra, 1) != 0) {
    throw InputError(where, ": damaged: ", zip_file_strerror(member.get()));
  }
}

}  // namespace bitdiff
