#pragma once

#include <cstddef>
#include <vector>

#include "bitdiff/metrics/caption_ngrams.h"

namespace bitdiff {

/// How alike two captions are, 0 to 1: the F1 of their n-grams, mean over n = 1 to 4. 0 where one
/// of them has no words.
double likeness(const NgramCounts& a, const NgramCounts& b);

/// Which of several captions of one image is most like the others, the first of equals: what is
/// least wrong where each of them may be the truth (minimum Bayes risk, Kumar & Byrne, 2004).
size_t find_consensus(const std::vector<CaptionWords>& captions);

}  // namespace bitdiff
