// Damages small valid files in every place: a reader may accept or refuse them by an Error, and do
// nothing else.
#include <functional>

#include <ATen/ops/arange.h>
#include <gtest/gtest.h>

#include "bitdiff/base/error.h"
#include "bitdiff/io/file.h"
#include "bitdiff/io/jpeg_format.h"
#include "bitdiff/io/npy.h"
#include "bitdiff/io/npz.h"
#include "bitdiff/io/png_format.h"
#include "bitdiff/io/safetensors.h"
#include "bitdiff/io/torch_file.h"
#include "tests/support/temporary_folder.h"

namespace bitdiff {
namespace {

const std::filesystem::path kImages = std::filesystem::path(BITDIFF_SOURCE_DIR) / "tests/io/images";
const std::filesystem::path kCheckpoints =
    std::filesystem::path(BITDIFF_SOURCE_DIR) / "tests/io/checkpoints";

struct Outcome {
  int64_t accepted = 0, refused = 0;
};

Outcome read_damaged(const std::string& whole,
                     const std::function<void(const std::string&)>& read) {
  read(whole);
  Outcome outcome;
  const auto attempt = [&](const std::string& damaged) {
    try {
      read(damaged);
      ++outcome.accepted;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInput) << error.what();
      ++outcome.refused;
    }
  };
  for (size_t i = 0; i < whole.size(); ++i) {
    attempt(whole.substr(0, i));
    for (const unsigned char flip : {0x01, 0x10, 0x80, 0xff}) {
      auto damaged = whole;
      damaged[i] = static_cast<char>(damaged[i] ^ flip);
      attempt(damaged);
    }
    for (const char fill : {'\0', '\xff', '9'}) {
      auto damaged = whole;
      damaged.replace(i, std::min<size_t>(4, whole.size() - i), 4, fill);
      attempt(damaged);
    }
  }
  EXPECT_GT(outcome.refused, static_cast<int64_t>(whole.size()));
  return outcome;
}

void read_npy_bytes(const std::string& bytes) {
  size_t next = 0;
  read_npy({"x.npy", bytes.size(), [&](void* to, uint64_t count) {
              if (count > bytes.size() - next) throw InputError("ends early");
              bytes.copy(static_cast<char*>(to), count, next);
              next += count;
            }});
}

TEST(Damaged, NpyIsReadOrRefused) {
  const auto array = at::arange(6).reshape({2, 3}).to(at::kShort);
  read_damaged(npy_header(array) + std::string(12, '\1'), read_npy_bytes);
}

TEST(Damaged, NpzIsReadOrRefused) {
  const TemporaryFolder folder;
  write_npz(folder / "x", {{"a", at::arange(6)}, {"b", at::arange(64).to(at::kByte)}});
  read_damaged(read_file(folder / "x"),
               [&](const std::string& bytes) { read_arrays(folder.write("y", bytes)); });
}

TEST(Damaged, SafetensorsAreReadOrRefused) {
  const TemporaryFolder folder;
  write_safetensors(folder / "x",
                    {{{"a", at::arange(3)}, {"b", at::arange(6).gt(2)}}, {{"k", "v"}}});
  read_damaged(read_file(folder / "x"),
               [&](const std::string& bytes) { read_safetensors(folder.write("y", bytes)); });
}

TEST(Damaged, TorchFilesAreReadOrRefused) {
  const TemporaryFolder folder;
  for (const char* name : {"zip.pth", "old.pth"}) {
    read_damaged(read_file(kCheckpoints / name), [&](const std::string& bytes) {
      read_torch_state_dict(folder.write("x.pth", bytes));
    });
  }
}

TEST(Damaged, PngIsReadOrRefused) {
  for (const auto& bytes :
       {encode_png(at::arange(24).to(at::kByte).reshape({3, 2, 4}), {{"k", "v"}}),
        read_file(kImages / "palette.png")}) {
    read_damaged(bytes, [](const std::string& damaged) { decode_png(damaged, "x.png"); });
  }
}

TEST(Damaged, JpegIsReadOrRefused) {
  for (const char* name : {"baseline.jpg", "progressive.jpg", "cmyk.jpg"}) {
    read_damaged(read_file(kImages / name),
                 [](const std::string& damaged) { decode_jpeg(damaged, "x.jpg"); });
  }
}

}  // namespace
}  // namespace bitdiff
