#include "bitdiff/data/open.h"

#include <filesystem>

#include "bitdiff/base/error.h"
#include "bitdiff/data/images.h"
#include "bitdiff/data/text.h"

namespace bitdiff {
namespace {

std::shared_ptr<const Dataset> open_cifar10(const DataOptions& options) {
  if (!options.labels.empty() && options.labels != "classes") {
    throw UsageError("data.labels: expected \"classes\" or \"\" for cifar10, found \"",
                     options.labels, "\"");
  }
  const std::filesystem::path path = options.path;
  const auto files = std::filesystem::is_regular_file(path) ? std::vector{path}
                                                            : cifar10_files(path, options.part);
  return bitdiff::open_cifar10(files, !options.labels.empty(), options.shrink);
}

std::shared_ptr<const Dataset> open_text(const DataOptions& options) {
  if (!options.labels.empty() || options.flip) {
    throw UsageError("data.", options.flip ? "flip" : "labels", ": text has none; leave it out");
  }
  return bitdiff::open_text(
      options.path,
      {.tokenizer = options.tokenizer, .length = options.length, .lines = options.lines});
}

}  // namespace

const Words<Source>& source_words() {
  static const Words<Source> words = {{"array", Source::kArray},
                                      {"cifar10", Source::kCifar10},
                                      {"images", Source::kImages},
                                      {"text", Source::kText}};
  return words;
}

std::shared_ptr<const Dataset> open_dataset(const DataOptions& options) {
  if (options.path.empty()) {
    throw UsageError("data.path: expected a file or folder of data, found \"\"");
  }
  switch (options.source) {
    case Source::kArray:
      return open_arrays(options.path, {.key = options.key,
                                        .layout = options.layout,
                                        .categories = options.categories,
                                        .labels = options.labels});
    case Source::kCifar10:
      return open_cifar10(options);
    case Source::kText:
      return open_text(options);
    default:
      return open_images(options.path, {.size = options.size, .labels = options.labels});
  }
}

}  // namespace bitdiff
