#include "bitdiff/data/open.h"

#include <filesystem>

#include "bitdiff/base/error.h"
#include "bitdiff/data/captions.h"
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

void check_path(const DataOptions& options) {
  if (options.path.empty()) {
    throw UsageError("data.path: expected a file or folder of data, found \"\"");
  }
}

std::shared_ptr<const Dataset> captions_of(const CaptionSource& source, const CaptionSplit& split,
                                           const DataOptions& options) {
  return open_captions(source.images(), split, text_info_of({.tokenizer = options.tokenizer}),
                       options.length);
}

}  // namespace

const Words<Source>& source_words() {
  static const Words<Source> words = {{"array", Source::kArray},
                                      {"cifar10", Source::kCifar10},
                                      {"images", Source::kImages},
                                      {"text", Source::kText},
                                      {"captions", Source::kCaptions}};
  return words;
}

std::shared_ptr<const Dataset> open_dataset(const DataOptions& options) {
  check_path(options);
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
    case Source::kCaptions: {
      const auto source = open_caption_source(options);
      return captions_of(source, source.split(options.split), options);
    }
    default:
      return open_images(options.path, {.size = options.size, .labels = options.labels});
  }
}

Split open_split(const DataOptions& options, int64_t seed) {
  if (options.source != Source::kCaptions || options.holdout_split.empty()) {
    return split_holdout(open_dataset(options), seed, options.holdout);
  }
  const auto source = open_caption_source(options);
  const auto train = source.split(options.split), test = source.split(options.holdout_split);
  refuse_shared_images(str("data.holdout_split = ", options.holdout_split), train, test);
  return {captions_of(source, train, options),
          random_part(captions_of(source, test, options), seed, options.holdout)};
}

CaptionSource open_caption_source(const DataOptions& options) {
  check_path(options);
  if (options.captions.empty()) {
    throw UsageError("data.captions: expected the file of the captions, found \"\"");
  }
  if (!options.labels.empty()) {
    throw UsageError("data.labels: captions have none; leave it out");
  }
  CaptionSource source({.images = options.path,
                        .captions = options.captions,
                        .as = {.key = options.key, .size = options.size}});
  if (options.flip && source.images()->shape().size() != 3) {
    throw UsageError("data.flip: features have no mirror image; leave it out");
  }
  return source;
}

}  // namespace bitdiff
