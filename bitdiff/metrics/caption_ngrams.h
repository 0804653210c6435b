#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace bitdiff {

using CaptionWords = std::vector<std::string>;

/// An image's captions as words: what is scored and what people wrote.
struct CaptionPair {
  CaptionWords candidate;
  std::vector<CaptionWords> references;  ///< At least one.
};

/// BLEU and CIDEr look at n-grams of 1 to 4 words.
constexpr int kMostWords = 4;

/// How often each n-gram occurs in a caption, by n - 1.
using NgramCounts = std::array<std::map<std::string, int64_t>, kMostWords>;

NgramCounts count_ngrams(const CaptionWords& words);

/// A figure for every image, and for all of them.
struct CaptionScore {
  std::string name;
  double corpus = 0;
  std::vector<double> each;
};

/// The mean of `each`.
CaptionScore mean_score(std::string name, std::vector<double> each);

}  // namespace bitdiff
