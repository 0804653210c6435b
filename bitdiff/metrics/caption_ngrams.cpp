#include "bitdiff/metrics/caption_ngrams.h"

#include <numeric>
#include <utility>

namespace bitdiff {

NgramCounts count_ngrams(const CaptionWords& words) {
  NgramCounts counts;
  for (size_t first = 0; first < words.size(); ++first) {
    std::string ngram;
    for (size_t n = 0; n < kMostWords && first + n < words.size(); ++n) {
      ngram += (n == 0 ? "" : " ") + words[first + n];  // No word holds a space.
      ++counts[n][ngram];
    }
  }
  return counts;
}

CaptionScore mean_score(std::string name, std::vector<double> each) {
  const double sum = std::accumulate(each.begin(), each.end(), 0.0);
  return {std::move(name), sum / static_cast<double>(each.size()), std::move(each)};
}

}  // namespace bitdiff
