#include "bitdiff/metrics/caption_rouge.h"

#include <algorithm>

namespace bitdiff {
namespace {

constexpr double kBeta = 1.2;

/// How many words the longest common subsequence of two captions has.
int64_t longest_common(const CaptionWords& a, const CaptionWords& b) {
  std::vector<int64_t> row(b.size() + 1);  // Of the words of `a` so far and the first j of `b`.
  for (const auto& word : a) {
    int64_t diagonal = 0;
    for (size_t j = 0; j < b.size(); ++j) {
      const int64_t above = row[j + 1];
      row[j + 1] = word == b[j] ? diagonal + 1 : std::max(above, row[j]);
      diagonal = above;
    }
  }
  return row.back();
}

double rouge_of(const CaptionPair& pair) {
  double precision = 0;
  double recall = 0;
  for (const auto& reference : pair.references) {
    const auto common = static_cast<double>(longest_common(pair.candidate, reference));
    if (common == 0) continue;  // Also where one of them has no words.
    precision = std::max(precision, common / static_cast<double>(pair.candidate.size()));
    recall = std::max(recall, common / static_cast<double>(reference.size()));
  }
  if (precision == 0) return 0;
  const double square = kBeta * kBeta;
  return (1 + square) * precision * recall / (recall + square * precision);
}

}  // namespace

CaptionScore rouge_l(const std::vector<CaptionPair>& pairs) {
  std::vector<double> each;
  for (const auto& pair : pairs) each.push_back(rouge_of(pair));
  return mean_score("ROUGE-L", std::move(each));
}

}  // namespace bitdiff
