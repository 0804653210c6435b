#include "bitdiff/data/cifar.h"

#include <algorithm>

#include <ATen/Parallel.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>

#include "bitdiff/base/error.h"
#include "bitdiff/data/memory_dataset.h"
#include "bitdiff/io/file.h"
#include "bitdiff/io/resize.h"

namespace bitdiff {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kClasses = 10;
constexpr int64_t kSide = 32;
constexpr int64_t kRecord = 1 + 3 * kSide * kSide;

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

// uint8 [N, 3, 32, 32], each side divided by `shrink`.
Tensor shrunk(const Tensor& images, int64_t shrink) {
  if (shrink != 1 && shrink != 2 && shrink != 4 && shrink != 8) {
    throw UsageError("data.shrink: expected 1, 2, 4 or 8, found ", shrink);
  }
  if (shrink == 1) return images;
  const int64_t side = kSide / shrink;
  auto small = at::empty({images.size(0), 3, side, side}, at::kByte);
  at::parallel_for(0, images.size(0), 256, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      small[i].copy_(resize(images[i], {side, side}, Filter::kArea));
    }
  });
  return small;
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

std::shared_ptr<const Dataset> open_cifar10(const std::vector<fs::path>& files, bool labels,
                                            int64_t shrink) {
  TORCH_CHECK(!files.empty(), "expected at least one file");
  std::vector<Tensor> pixels, classes;
  for (const auto& file : files) {
    const auto records = read_records(file);
    classes.push_back(records.select(1, 0).to(at::kLong));
    pixels.push_back(records.narrow(1, 1, kRecord - 1).reshape({-1, 3, kSide, kSide}));
  }
  const auto images = shrunk(at::cat(pixels), shrink);
  DataInfo info{.shape = images.sizes().slice(1).vec(),
                .categories = {256},
                .classes = labels ? kClasses : 0};
  return std::make_shared<MemoryDataset>(std::move(info), images,
                                         labels ? at::cat(classes) : Tensor());
}

}  // namespace bitdiff
