#pragma once

#include <cstdint>
#include <vector>

namespace bitdiff {

/// The permutation of 0 .. n-1 that NumPy's RandomState(seed).shuffle(arange(n)) gives:
/// Fisher-Yates from the end with MT19937 and masked rejection. Seed 42 and n = 256 is the table of
/// UINT8(RAND) (appendix C of Chen et al., 2022). `seed` in [0, 2^32), `n` in [1, 2^31].
std::vector<int32_t> numpy_permutation(int64_t seed, int64_t n);

}  // namespace bitdiff
