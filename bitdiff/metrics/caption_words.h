#pragma once

#include <string>
#include <vector>

#include "bitdiff/base/options.h"

namespace bitdiff {

/// How a caption becomes words. Scores of different tokenizers must not be compared.
enum class CaptionTokenizer {
  kPtb,     ///< Close to what COCO's scorer does, see docs/metrics.md: the default.
  kSimple,  ///< Lower case; everything but a-z and 0-9 parts words.
  kNone,    ///< Captions that are tokenized already: split at white space.
};

const Words<CaptionTokenizer>& caption_tokenizer_words();

/// The words of a caption; none of them is empty. Only ASCII letters change their case.
std::vector<std::string> caption_words(const std::string& caption, CaptionTokenizer tokenizer);

}  // namespace bitdiff
