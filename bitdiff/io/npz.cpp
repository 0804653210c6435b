#include "bitdiff/io/npz.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <set>
#include <zip.h>

#include "bitdiff/base/error.h"
#include "bitdiff/io/atomic_file.h"
#include "bitdiff/io/file.h"
#include "bitdiff/io/npy.h"

namespace bitdiff {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMostDeflate = 1032;  // No deflated byte stands for more bytes than that.
constexpr const char* kSuffix = ".npy";

struct Discard {
  void operator()(zip_t* archive) const { zip_discard(archive); }
  void operator()(zip_file_t* member) const { zip_fclose(member); }
};
using Archive = std::unique_ptr<zip_t, Discard>;
using Member = std::unique_ptr<zip_file_t, Discard>;

Archive open_archive(const fs::path& path, int flags) {
  int code = 0;
  Archive archive(zip_open(path.c_str(), flags, &code));
  if (archive) return archive;
  zip_error_t error;
  zip_error_init_with_code(&error, code);
  const std::string reason = zip_error_strerror(&error);
  zip_error_fini(&error);
  if (flags & ZIP_CREATE) throw StorageError("cannot write ", path.string(), ": ", reason);
  throw InputError(path.string(), ": not a .npz: ", reason);
}

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

// `left`: how many bytes of the file the members before this one have left.
Tensor read_array(zip_t* archive, zip_uint64_t index, const zip_stat_t& stat, uint64_t& left,
                  const std::string& name) {
  constexpr zip_uint64_t kNeeded =
      ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
  if ((stat.valid & kNeeded) != kNeeded || stat.encryption_method != ZIP_EM_NONE ||
      (stat.comp_method != ZIP_CM_STORE && stat.comp_method != ZIP_CM_DEFLATE)) {
    throw InputError(name, ": expected a stored or deflated member without a password");
  }
  if (stat.comp_size > left || stat.size / kMostDeflate > stat.comp_size) {
    throw InputError(name, ": cannot unpack to the ", stat.size, " bytes it claims: it has ",
                     stat.comp_size, " of the ", left, " that the file has for it");
  }
  left -= stat.comp_size;
  const Member member(zip_fopen_index(archive, index, 0));
  if (!member) throw InputError(name, ": cannot be opened: ", zip_strerror(archive));
  auto array = read_npy({name, stat.size, [&](void* to, uint64_t count) {
                           read_member(member.get(), name, to, count);
                         }});
  // Reading past the end is what checks the sum.
  char extra = 0;
  if (zip_fread(member.get(), &extra, 1) != 0) {
    throw InputError(name, ": damaged: ", zip_file_strerror(member.get()));
  }
  return array;
}

NamedTensors read_npz(const fs::path& path) {
  uint64_t left = InputFile(path).size();
  const auto archive = open_archive(path, ZIP_RDONLY);
  NamedTensors arrays;
  std::set<std::string> names;
  const zip_int64_t members = zip_get_num_entries(archive.get(), 0);
  for (zip_int64_t index = 0; index < members; ++index) {
    zip_stat_t stat;
    if (zip_stat_index(archive.get(), index, 0, &stat) != 0 || !(stat.valid & ZIP_STAT_NAME)) {
      throw InputError(path.string(), ": member ", index, ": ", zip_strerror(archive.get()));
    }
    std::string name = stat.name;
    if (name.ends_with(kSuffix)) name.resize(name.size() - std::strlen(kSuffix));
    const auto where = path.string() + ": array \"" + printable(name) + "\"";
    if (!names.insert(name).second) throw InputError(where, ": stands there twice");
    arrays.emplace_back(name, read_array(archive.get(), index, stat, left, where));
  }
  return arrays;
}

// `plain` and `header` must live until the archive is closed.
void add_array(zip_t* archive, const std::string& name, const std::string& header,
               const Tensor& plain) {
  auto* const data = static_cast<zip_uint8_t*>(const_cast<void*>(plain.const_data_ptr()));
  auto* const start = reinterpret_cast<zip_uint8_t*>(const_cast<char*>(header.data()));
  const std::array<zip_buffer_fragment_t, 2> pieces = {
      {{start, header.size()}, {data, plain.nbytes()}}};
  zip_source_t* source =
      zip_source_buffer_fragment(archive, pieces.data(), plain.nbytes() > 0 ? 2 : 1, 0);
  const zip_int64_t index =
      source ? zip_file_add(archive, (name + kSuffix).c_str(), source, ZIP_FL_ENC_UTF_8) : -1;
  if (index < 0) {
    if (source) zip_source_free(source);
    throw StorageError("cannot add the array ", name, ": ", zip_strerror(archive));
  }
  constexpr zip_uint16_t kFirstDay = 1 << 5 | 1;  // 1980-01-01, so that no clock gets in.
  zip_file_set_dostime(archive, index, 0, kFirstDay, 0);
  zip_set_file_compression(archive, index, ZIP_CM_DEFLATE, 6);
}

}  // namespace

NamedTensors read_arrays(const fs::path& path) {
  InputFile file(path);
  char first = '\0';
  if (file.size() > 0) file.read(&first, 1);
  if (first == 'P') return read_npz(path);
  if (first != '\x93') {
    throw InputError(path.string(), ": neither a .npy nor a .npz of NumPy");
  }
  InputFile again(path);
  const ByteSource source{path.string(), again.size(),
                          [&](void* to, uint64_t count) { again.read(to, count); }};
  return {{"arr_0", read_npy(source)}};
}

void write_npy(const fs::path& path, const Tensor& array) {
  const auto plain = array.cpu().contiguous();
  write_file_atomically(path, [&](const fs::path& temporary) {
    const auto header = npy_header(plain);
    OutputFile out(temporary);
    out.append(header.data(), header.size());
    out.append(plain.const_data_ptr(), plain.nbytes());
    out.close();
  });
}

void write_npz(const fs::path& path, const NamedTensors& arrays) {
  TORCH_CHECK(!arrays.empty(), "expected at least one array to write to ", path.string());
  std::vector<Tensor> plain;
  std::vector<std::string> headers;
  for (const auto& [name, array] : arrays) {
    plain.push_back(array.cpu().contiguous());
    headers.push_back(npy_header(plain.back()));
  }
  write_file_atomically(path, [&](const fs::path& temporary) {
    auto archive = open_archive(temporary, ZIP_CREATE | ZIP_TRUNCATE);
    for (size_t i = 0; i < arrays.size(); ++i) {
      add_array(archive.get(), arrays[i].first, headers[i], plain[i]);
    }
    if (zip_close(archive.get()) != 0) {
      throw StorageError("cannot write ", path.string(), ": ", zip_strerror(archive.get()));
    }
    static_cast<void>(archive.release());
  });
}

}  // namespace bitdiff
