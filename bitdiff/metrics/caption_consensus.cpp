#include "bitdiff/metrics/caption_consensus.h"

#include <algorithm>
#include <map>
#include <string>

namespace bitdiff {
namespace {

double f1(const std::map<std::string, int64_t>& a, const std::map<std::string, int64_t>& b) {
  int64_t all = 0;
  int64_t common = 0;
  for (const auto& [ngram, count] : a) {
    all += count;
    const auto other = b.find(ngram);
    if (other != b.end()) common += std::min(count, other->second);
  }
  for (const auto& [ngram, count] : b) all += count;
  return all == 0 ? 0 : 2 * static_cast<double>(common) / static_cast<double>(all);
}

}  // namespace

double likeness(const NgramCounts& a, const NgramCounts& b) {
  double sum = 0;
  for (size_t n = 0; n < kMostWords; ++n) sum += f1(a[n], b[n]);
  return sum / kMostWords;
}

size_t find_consensus(const std::vector<CaptionWords>& captions) {
  std::vector<NgramCounts> counts;
  for (const auto& words : captions) counts.push_back(count_ngrams(words));
  std::vector<double> with_others(captions.size());
  for (size_t i = 0; i < counts.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      const double alike = likeness(counts[i], counts[j]);
      with_others[i] += alike;
      with_others[j] += alike;
    }
  }
  return std::max_element(with_others.begin(), with_others.end()) - with_others.begin();
}

}  // namespace bitdiff
