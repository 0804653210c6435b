#include "bitdiff/metrics/caption_cider.h"

#include <algorithm>
#include <cmath>
#include <set>

namespace bitdiff {
namespace {

constexpr double kSigma = 6;

/// In how many images some reference has an n-gram, by n - 1.
using Frequencies = NgramCounts;

Frequencies frequencies_of(const std::vector<CaptionPair>& pairs) {
  Frequencies frequencies;
  for (const auto& pair : pairs) {
    std::array<std::set<std::string>, kMostWords> seen;
    for (const auto& reference : pair.references) {
      const auto counts = count_ngrams(reference);
      for (int n = 0; n < kMostWords; ++n) {
        for (const auto& [ngram, count] : counts[n]) seen[n].insert(ngram);
      }
    }
    for (int n = 0; n < kMostWords; ++n) {
      for (const auto& ngram : seen[n]) ++frequencies[n][ngram];
    }
  }
  return frequencies;
}

/// A caption in the space of n-grams, each axis weighted by how telling it is (TF-IDF).
struct Vector {
  std::array<std::map<std::string, double>, kMostWords> weight;
  std::array<double, kMostWords> norm{};
  double length = 0;  ///< In pairs of words.
};

Vector vector_of(const CaptionWords& words, const Frequencies& frequencies, double log_images) {
  Vector vector;
  const auto counts = count_ngrams(words);
  for (int n = 0; n < kMostWords; ++n) {
    double squares = 0;
    for (const auto& [ngram, count] : counts[n]) {
      const auto found = frequencies[n].find(ngram);
      const auto images = static_cast<double>(found == frequencies[n].end() ? 1 : found->second);
      const double weight = static_cast<double>(count) * (log_images - std::log(images));
      vector.weight[n][ngram] = weight;
      squares += weight * weight;
    }
    vector.norm[n] = std::sqrt(squares);
  }
  vector.length = words.empty() ? 0 : static_cast<double>(words.size() - 1);
  return vector;
}

/// The mean over n of the clipped cosines of two captions, times the penalty of their lengths.
double similarity(const Vector& candidate, const Vector& reference) {
  double sum = 0;
  for (int n = 0; n < kMostWords; ++n) {
    double dot = 0;
    for (const auto& [ngram, weight] : candidate.weight[n]) {
      const auto found = reference.weight[n].find(ngram);
      if (found != reference.weight[n].end()) {
        dot += std::min(weight, found->second) * found->second;
      }
    }
    if (dot != 0) sum += dot / (candidate.norm[n] * reference.norm[n]);
  }
  const double delta = candidate.length - reference.length;
  return sum / kMostWords * std::exp(-delta * delta / (2 * kSigma * kSigma));
}

}  // namespace

CaptionScore cider(const std::vector<CaptionPair>& pairs) {
  const auto frequencies = frequencies_of(pairs);
  const double log_images = std::log(static_cast<double>(pairs.size()));
  std::vector<double> each;
  for (const auto& pair : pairs) {
    const auto candidate = vector_of(pair.candidate, frequencies, log_images);
    double sum = 0;
    for (const auto& reference : pair.references) {
      sum += similarity(candidate, vector_of(reference, frequencies, log_images));
    }
    each.push_back(10 * sum / static_cast<double>(pair.references.size()));
  }
  return mean_score("CIDEr", std::move(each));
}

}  // namespace bitdiff
