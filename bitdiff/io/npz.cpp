#include "bitdiff/io/npz.h"

#include <array>
#include <cstring>
#include <memory>
#include <set>
#include <zip.h>

#include "bitdiff/base/error.h"
#include "bitdiff/io/atomic_file.h"
#include "bitdiff/io/file.h"
#include "bitdiff/io/npy.h"
#include "bitdiff/io/zip_reader.h"

namespace bitdiff {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSuffix = ".npy";

struct Discard {
  void operator()(zip_t* archive) const { zip_discard(archive); }
};
using Archive = std::unique_ptr<zip_t, Discard>;

Archive create_archive(const fs::path& path) {
  int code = 0;
  Archive archive(zip_open(path.c_str(), ZIP_CREATE | ZIP_TRUNCATE, &code));
  if (archive) return archive;
  zip_error_t error;
  zip_error_init_with_code(&error, code);
  const std::string reason = zip_error_strerror(&error);
  zip_error_fini(&error);
  throw StorageError("cannot write ", path.string(), ": ", reason);
}

NamedTensors read_npz(const fs::path& path) {
  ZipReader archive(path, ".npz");
  NamedTensors arrays;
  std::set<std::string> names;
  for (size_t index = 0; index < archive.names().size(); ++index) {
    std::string name = archive.names()[index];
    if (name.ends_with(kSuffix)) name.resize(name.size() - std::strlen(kSuffix));
    const auto where = path.string() + ": array \"" + printable(name) + "\"";
    if (!names.insert(name).second) throw InputError(where, ": stands there twice");
    archive.read(index, where,
                 [&](const ByteSource& source) { arrays.emplace_back(name, read_npy(source)); });
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
    auto archive = create_archive(temporary);
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
