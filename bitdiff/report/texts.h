#pragma once

#include <string>

#include "bitdiff/data/dataset.h"

namespace bitdiff {

/// Samples, int [N, 1, L], as text: one a line; of running text, with an empty line between two.
std::string to_text(const Tensor& x, const TextInfo& info);

}  // namespace bitdiff
