#include "bitdiff/bits/permutation.h"

#include <algorithm>
#include <numeric>

#include <gtest/gtest.h>

namespace bitdiff {
namespace {

std::vector<int32_t> head(const std::vector<int32_t>& table, int64_t n) {
  return {table.begin(), table.begin() + n};
}

TEST(NumpyPermutation, IsTheTableOfUint8Rand) {
  const auto table = numpy_permutation(42, 256);
  EXPECT_EQ(head(table, 8), (std::vector<int32_t>{228, 6, 79, 206, 117, 185, 242, 167}));
  EXPECT_EQ(std::vector<int32_t>(table.end() - 4, table.end()),
            (std::vector<int32_t>{14, 92, 179, 102}));
  int64_t checksum = 0;  // sum(i * table[i]), from NumPy.
  for (int64_t i = 0; i < 256; ++i) checksum += i * table[i];
  EXPECT_EQ(checksum, 4183937);
}

TEST(NumpyPermutation, AgreesWithNumpyForOtherSizesAndSeeds) {
  EXPECT_EQ(numpy_permutation(42, 5), (std::vector<int32_t>{1, 4, 2, 0, 3}));
  EXPECT_EQ(head(numpy_permutation(7, 17), 8), (std::vector<int32_t>{13, 11, 16, 8, 5, 2, 1, 0}));
  const auto table = numpy_permutation(123456789, 1000);
  EXPECT_EQ(head(table, 4), (std::vector<int32_t>{947, 863, 731, 526}));
  int64_t checksum = 0;
  for (int64_t i = 0; i < 1000; ++i) checksum += i * table[i];
  EXPECT_EQ(checksum, 247561683);
}

TEST(NumpyPermutation, HoldsEveryNumberOnce) {
  for (const int64_t n : {1, 2, 3, 31, 32, 33, 100000}) {
    auto table = numpy_permutation(4294967295, n);
    std::sort(table.begin(), table.end());
    std::vector<int32_t> all(n);
    std::iota(all.begin(), all.end(), 0);
    EXPECT_EQ(table, all) << n;
  }
}

}  // namespace
}  // namespace bitdiff
