#pragma once

#include <string>
#include <vector>

namespace bitdiff {

/// The words of a lower-case caption by rules close to Stanford's PTBTokenizer with the punctuation
/// that COCO's scorer drops left out: "the dog's ball isn't red." is the dog 's ball is n't red.
/// docs/metrics.md lists where the two differ.
std::vector<std::string> ptb_words(const std::string& caption);

}  // namespace bitdiff
