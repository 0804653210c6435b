#pragma once

#include <vector>

#include "bitdiff/metrics/caption_ngrams.h"

namespace bitdiff {

/// CIDEr (Vedantam et al., 2015) as COCO's scorer has it under this name, which is the formula that
/// the paper calls CIDEr-D (clipped counts, a Gaussian of the difference in length, sigma 6), but
/// with lengths counted in pairs of words. In 0..10. Document frequencies are those of `pairs`: the
/// score of an image depends on the others, and of one image alone it is 0.
CaptionScore cider(const std::vector<CaptionPair>& pairs);

}  // namespace bitdiff
