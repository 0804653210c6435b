#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "bitdiff/metrics/caption_ngrams.h"
#include "bitdiff/metrics/caption_words.h"

namespace bitdiff {

/// Candidates beside their references, one for each image of the candidates.
struct CaptionSet {
  std::vector<std::string> images;  ///< What the files call each image.
  std::vector<CaptionPair> pairs;   ///< In the order of the candidates.
  int64_t references = 0;           ///< Captions of all pairs.
  int64_t unscored = 0;             ///< Images with references that have no candidate.
};

/// Reads both files; docs/formats.md says what they may look like. Throws InputError that names
/// file and record for what is malformed, for two candidates of one image and for a candidate
/// without a reference.
CaptionSet read_captions(const std::filesystem::path& candidates,
                         const std::filesystem::path& references, CaptionTokenizer tokenizer);

}  // namespace bitdiff
