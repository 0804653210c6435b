#pragma once

#include <string>
#include <vector>

namespace bitdiff {

/// The candidate most like `word`, or nothing when none is close (edit distance above a third of
/// it).
std::string nearest(const std::string& word, const std::vector<std::string>& candidates);

/// ` Did you mean "...?"` for the nearest candidate, or nothing.
std::string did_you_mean(const std::string& word, const std::vector<std::string>& candidates);

}  // namespace bitdiff
