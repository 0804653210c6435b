#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bitdiff/base/options.h"
#include "bitdiff/data/arrays.h"
#include "bitdiff/data/caption_source.h"
#include "bitdiff/data/cifar.h"
#include "bitdiff/data/dataset.h"
#include "bitdiff/data/loader.h"
#include "bitdiff/data/split.h"

namespace bitdiff {

/// What kind of data there is at the path.
enum class Source {
  kArray,     ///< A .npy or .npz of integers.
  kCifar10,   ///< A folder of CIFAR-10 binaries, or one of them.
  kImages,    ///< A folder or tar of PNG and JPEG files.
  kText,      ///< A file of text.
  kCaptions,  ///< A file of captions, and a folder or an array of the images they describe.
};

const Words<Source>& source_words();

/// The section [data] of a config.
struct DataOptions {
  Source source = Source::kArray;
  std::string path;
  std::string key;
  Layout layout = Layout::kNHW;
  std::vector<int64_t> categories = {256};
  int64_t size = 64;
  CifarPart part = CifarPart::kTrain;
  int64_t shrink = 1;
  std::string labels;
  std::string tokenizer;
  int64_t length = 64;
  bool lines = true;
  std::string captions;
  std::string split;
  bool flip = false;          ///< For the loader.
  int64_t window = 0;         ///< For the loader.
  int64_t holdout = 0;        ///< For open_split.
  std::string holdout_split;  ///< For open_split.

  PassOptions passes() const { return {.flip = flip, .window = window}; }

  template <class Visitor>
  void visit(Visitor& v) {
    v.choice("source", source, source_words(), "kind of data");
    v.text("path", path, "file or folder; images: folder or tar; captions: the images");
    v.text("key", key,
           "array, captions: name of the examples or images in their file; empty: the only array");
    v.choice("layout", layout, layout_words(), "array: what its axes are");
    v.numbers("categories", categories, at_least(2),
              "array: values are in 0..K-1; one K, or one for each channel");
    v.number("size", size, between(1, 4096),
             "images, captions: side of the square that images of a folder become");
    v.choice("part", part,
             Words<CifarPart>{{"train", CifarPart::kTrain}, {"test", CifarPart::kTest}},
             "cifar10: which files of the folder");
    v.number("shrink", shrink, between(1, 8),
             "cifar10: divides the side of the images; 1, 2, 4, 8");
    v.text("labels", labels,
           "empty: none; array: name of the labels; cifar10: \"classes\"; images: \"folders\" or a "
           "file of lines \"name label\"");
    v.text("tokenizer", tokenizer,
           "text, captions: \"bytes\" or the file of a SentencePiece model");
    v.number("length", length, between(2, 1 << 20), "text, captions: tokens of an example");
    v.flag("lines", lines, "text: each line is an example; else windows of running text");
    v.text("captions", captions, "captions: file of the records, a .jsonl or .json");
    v.text("split", split, "captions: only records of this split; empty: all");
    v.flag("flip", flip, "mirror half of the training examples, or of the images they describe");
    v.number("window", window, at_least(0),
             "examples that are shuffled at a time, so that reading runs nearly in order; 0: all");
    v.number("holdout", holdout, at_least(0), "examples kept out of training to test on");
    v.text("holdout_split", holdout_split,
           "captions: the split to take these from; empty: the one that is trained on");
  }
};

/// All examples that the options name. Throws InputError or UsageError.
std::shared_ptr<const Dataset> open_dataset(const DataOptions& options);

/// The examples to train on and `holdout` random ones, a function of `seed`, to test on: of the
/// same (split_holdout), or where there is a holdout_split of that one, which may share no image
/// with those to train on. Throws InputError or UsageError.
Split open_split(const DataOptions& options, int64_t seed);

/// The captions beside images that the options name: what open_dataset takes its examples from
/// where the source is captions. Throws InputError or UsageError.
CaptionSource open_caption_source(const DataOptions& options);

}  // namespace bitdiff
