#pragma once

#include <vector>

#include "bitdiff/metrics/caption_ngrams.h"

namespace bitdiff {

/// ROUGE-L (Lin, 2004) as COCO's scorer has it: the F-measure with beta 1.2 of the best precision
/// and the best recall over the references, each of the longest common subsequence of words.
CaptionScore rouge_l(const std::vector<CaptionPair>& pairs);

}  // namespace bitdiff
