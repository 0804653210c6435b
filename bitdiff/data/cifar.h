#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "bitdiff/data/dataset.h"

namespace bitdiff {

enum class CifarPart { kTrain, kTest };

/// The files of a folder of CIFAR-10 binaries: data_batch_1.bin to data_batch_5.bin for training,
/// every test_batch*.bin for testing. Throws InputError naming the first that is missing.
std::vector<std::filesystem::path> cifar10_files(const std::filesystem::path& folder,
                                                 CifarPart part);

/// CIFAR-10 records, 1 byte of label and 3072 bytes of pixels each, as uint8 [3, S, S] with 10
/// classes, S = 32 / `shrink` by the mean of the area. Throws InputError that names file, byte,
/// expected and found, UsageError unless `shrink` is a power of two up to 8.
/// Format: https://www.cs.toronto.edu/~kriz/cifar.html, binary version.
std::shared_ptr<const Dataset> open_cifar10(const std::vector<std::filesystem::path>& files,
                                            bool labels, int64_t shrink = 1);

}  // namespace bitdiff
