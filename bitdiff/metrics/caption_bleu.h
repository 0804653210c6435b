#pragma once

#include <vector>

#include "bitdiff/metrics/caption_ngrams.h"

namespace bitdiff {

/// BLEU-1 to BLEU-4 (Papineni et al., 2002) as COCO's scorer has them: the reference closest in
/// length counts for brevity, the shorter of two equally close; 1e-15 is added to matches and 1e-9
/// to what they are divided by. The corpus's figure is of summed counts, not a mean of images.
std::vector<CaptionScore> bleu(const std::vector<CaptionPair>& pairs);

}  // namespace bitdiff
