#include "bitdiff/data/cifar.h"

#include <algorithm>

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>

#include "bitdiff/base/error.h"
#include "bitdiff/data/memory_dataset.h"
#include "bitdiff/io/file.h"

namespace bitdiff {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kClasses = 10;
constexpr int64_t kRecord = 1 + 3 * 32 * 32;

// The records of one file: uint8 [N, 3073].
Tensor read_records(const fs::path& path) {
  InputFile file(path);
  const auto size = static_cast<int64_t>(file.size());
  if (size == 0 || size % kRecord != 0) {
    throw InputError(file.name(), ": expected records of ", kRecord, " bytes, found ", size,
                     " bytes: the file ends ", size % kRecord, " bytes into record ",
                     size / kRecord);
  }
  auto records = at::empty({size / kRecord, kRecord}, at::kByte);
  file.read(records.mutable_data_ptr(), file.size());
  const auto* bytes = records.const_data_ptr<uint8_t>();
  for (int64_t i = 0; i < records.size(0); ++i) {
    const int label = bytes[i * kRecord];
    if (label < kClasses) continue;
    throw InputError(file.name(), ": record ", i, ", byte ", i * kRecord,
                     ": expected a label in 0..9, found ", label);
  }
  return records;
}

}  // namespace

std::vector<fs::path> cifar10_files(const fs::path& folder, CifarPart part) {
  std::vector<fs::path> files;
  if (part == CifarPart::kTrain) {
    for (int i = 1; i <= 5; ++i) {
      files.push_back(folder / str("data_batch_", i, ".bin"));
      if (!fs::exists(files.back())) {
        throw InputError(files.back().string(), ": no such file; expected data_batch_1.bin to",
                         " data_batch_5.bin of CIFAR-10's binary version in this folder");
      }
    }
    return files;
  }
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder, none)) {
    const auto name = entry.path().filename().string();
    if (name.starts_with("test_batch") && name.ends_with(".bin")) files.push_back(entry.path());
  }
  if (files.empty()) {
    throw InputError(folder.string(), ": expected test_batch.bin of CIFAR-10's binary version in",
                     " this folder, found no such file");
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::shared_ptr<const Dataset> open_cifar10(const std::vector<fs::path>& files, bool labels) {
  TORCH_CHECK(!files.empty(), "expected at least one file");
  std::vector<Tensor> pixels, classes;
  for (const auto& file : files) {
    const auto records = read_records(file);
    classes.push_back(records.select(1, 0).to(at::kLong));
    pixels.push_back(records.narrow(1, 1, kRecord - 1).reshape({-1, 3, 32, 32}));
  }
  DataInfo info{.shape = {3, 32, 32}, .categories = {256}, .classes = labels ? kClasses : 0};
  return std::make_shared<MemoryDataset>(std::move(info), at::cat(pixels),
                                         labels ? at::cat(classes) : Tensor());
}

}  // namespace bitdiff
