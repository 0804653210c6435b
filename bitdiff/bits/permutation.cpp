#include "bitdiff/bits/permutation.h"

#include <bit>
#include <numeric>
#include <random>
#include <utility>

namespace bitdiff {

std::vector<int32_t> numpy_permutation(int64_t seed, int64_t n) {
  std::vector<int32_t> table(n);
  std::iota(table.begin(), table.end(), 0);
  std::mt19937 generator(static_cast<uint32_t>(seed));
  for (uint32_t i = static_cast<uint32_t>(n - 1); i > 0; --i) {
    // Masked rejection: the low bits of the next number that is at most i.
    const uint32_t mask = std::bit_ceil(i + 1) - 1;
    uint32_t j = generator() & mask;
    while (j > i) j = generator() & mask;
    std::swap(table[i], table[j]);
  }
  return table;
}

}  // namespace bitdiff
