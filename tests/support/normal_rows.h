#pragma once

#include <numeric>
#include <vector>

#include "bitdiff/base/random.h"

namespace bitdiff::test {

/// Standard normal float32 [rows, width], a function of `seed`.
inline Tensor normal_rows(uint64_t seed, int64_t rows, int64_t width) {
  std::vector<int64_t> numbers(rows);
  std::iota(numbers.begin(), numbers.end(), 0);
  return Streams(seed, numbers).normal({rows, width});
}

}  // namespace bitdiff::test
