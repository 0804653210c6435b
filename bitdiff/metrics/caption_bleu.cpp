#include "bitdiff/metrics/caption_bleu.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>

#include "bitdiff/base/error.h"

namespace bitdiff {
namespace {

constexpr double kTiny = 1e-15;
constexpr double kSmall = 1e-9;

/// What BLEU is made of, of one image or of many.
struct Counts {
  std::array<int64_t, kMostWords> matches{};  ///< N-grams that a reference has too, by n - 1.
  std::array<int64_t, kMostWords> ngrams{};   ///< N-grams in all.
  int64_t length = 0;                         ///< Words of the candidate.
  int64_t reference_length = 0;

  Counts& operator+=(const Counts& other) {
    for (int n = 0; n < kMostWords; ++n) {
      matches[n] += other.matches[n];
      ngrams[n] += other.ngrams[n];
    }
    length += other.length;
    reference_length += other.reference_length;
    return *this;
  }
};

Counts counts_of(const CaptionPair& pair) {
  Counts counts{.length = static_cast<int64_t>(pair.candidate.size())};
  NgramCounts most;  // The most often that any one reference has an n-gram.
  int64_t nearest = -1;
  for (const auto& reference : pair.references) {
    const auto ngrams = count_ngrams(reference);
    for (int n = 0; n < kMostWords; ++n) {
      for (const auto& [ngram, count] : ngrams[n]) {
        auto& largest = most[n][ngram];
        largest = std::max(largest, count);
      }
    }
    const auto length = static_cast<int64_t>(reference.size());
    const auto distance = [&](int64_t of) { return std::abs(of - counts.length); };
    if (nearest < 0 || distance(length) < distance(nearest) ||
        (distance(length) == distance(nearest) && length < nearest)) {
      nearest = length;
    }
  }
  counts.reference_length = nearest;
  const auto candidate = count_ngrams(pair.candidate);
  for (int n = 0; n < kMostWords; ++n) {
    counts.ngrams[n] = std::max<int64_t>(counts.length - n, 0);
    for (const auto& [ngram, count] : candidate[n]) {
      const auto found = most[n].find(ngram);
      if (found != most[n].end()) counts.matches[n] += std::min(count, found->second);
    }
  }
  return counts;
}

std::array<double, kMostWords> bleu_of(const Counts& counts) {
  const double ratio = (static_cast<double>(counts.length) + kTiny) /
                       (static_cast<double>(counts.reference_length) + kSmall);
  const double brevity = ratio < 1 ? std::exp(1 - 1 / ratio) : 1;
  std::array<double, kMostWords> result{};
  double product = 1;
  for (int n = 0; n < kMostWords; ++n) {
    product *= (static_cast<double>(counts.matches[n]) + kTiny) /
               (static_cast<double>(counts.ngrams[n]) + kSmall);
    result[n] = std::pow(product, 1.0 / (n + 1)) * brevity;
  }
  return result;
}

}  // namespace

std::vector<CaptionScore> bleu(const std::vector<CaptionPair>& pairs) {
  std::vector<CaptionScore> scores(kMostWords);
  Counts all;
  for (const auto& pair : pairs) {
    const auto counts = counts_of(pair);
    all += counts;
    const auto image = bleu_of(counts);
    for (int n = 0; n < kMostWords; ++n) scores[n].each.push_back(image[n]);
  }
  const auto corpus = bleu_of(all);
  for (int n = 0; n < kMostWords; ++n) {
    scores[n].name = str("BLEU-", n + 1);
    scores[n].corpus = corpus[n];
  }
  return scores;
}

}  // namespace bitdiff
