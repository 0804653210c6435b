#include "bitdiff/bits/nearest.h"

#include <bit>
#include <limits>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace bitdiff {
namespace {

class NearestNumber : public ::testing::TestWithParam<bool> {
 protected:
  static double squared_distance(const std::vector<float>& x_bits, int64_t number) {
    const uint32_t code =
        GetParam() ? gray_of(static_cast<uint32_t>(number)) : static_cast<uint32_t>(number);
    double sum = 0;
    for (size_t bit = 0; bit < x_bits.size(); ++bit) {
      const double difference = x_bits[bit] - ((code >> bit) & 1 ? 1.0 : -1.0);
      sum += difference * difference;
    }
    return sum;
  }

  std::vector<float> random_bits(int64_t categories) {
    std::vector<float> x_bits(std::bit_width(static_cast<uint64_t>(categories - 1)));
    for (auto& bit : x_bits) bit = normal_(generator_);
    return x_bits;
  }

  std::mt19937 generator_{0};
  std::normal_distribution<float> normal_;
};

INSTANTIATE_TEST_SUITE_P(Codes, NearestNumber, ::testing::Bool(), [](const auto& test) {
  return test.param ? std::string("Gray") : std::string("Binary");
});

TEST_P(NearestNumber, IsTheNearestOfAllForEveryKUpTo40) {
  for (int64_t k = 2; k <= 40; ++k) {
    for (int trial = 0; trial < 300; ++trial) {
      const auto x_bits = random_bits(k);
      int64_t best = 0;
      for (int64_t number = 1; number < k; ++number) {
        if (squared_distance(x_bits, number) < squared_distance(x_bits, best)) best = number;
      }
      ASSERT_EQ(nearest_number(x_bits, k, GetParam()), best) << "K = " << k;
    }
  }
}

TEST_P(NearestNumber, IsValidAndNoOtherNumberOrOneBitFlipIsNearerForHugeK) {
  for (const int64_t k : {2147483648L, 2147483647L, 1000000007L, 1073741825L, 65537L}) {
    std::uniform_int_distribution<int64_t> any(0, k - 1);
    for (int trial = 0; trial < 50; ++trial) {
      const auto x_bits = random_bits(k);
      const int64_t nearest = nearest_number(x_bits, k, GetParam());
      ASSERT_GE(nearest, 0);
      ASSERT_LT(nearest, k);
      const double least = squared_distance(x_bits, nearest) - 1e-9;
      for (int other = 0; other < 200; ++other) {
        ASSERT_GE(squared_distance(x_bits, any(generator_)), least);
      }
      const auto near = static_cast<uint32_t>(nearest);
      for (size_t bit = 0; bit < x_bits.size(); ++bit) {
        const uint32_t flipped = GetParam() ? number_of_gray(gray_of(near) ^ (uint32_t{1} << bit))
                                            : near ^ (uint32_t{1} << bit);
        if (flipped < k) {
          ASSERT_GE(squared_distance(x_bits, flipped), least);
        }
      }
    }
  }
}

TEST_P(NearestNumber, OfAnExactCodeIsItself) {
  for (const int64_t k : {3L, 100L, 1000000007L}) {
    for (int64_t number = 0; number < k; number += 1 + k / 100) {
      const auto code = static_cast<uint32_t>(number);
      std::vector<float> x_bits = random_bits(k);
      for (size_t bit = 0; bit < x_bits.size(); ++bit) {
        x_bits[bit] = ((GetParam() ? gray_of(code) : code) >> bit) & 1 ? 0.1F : -0.1F;
      }
      ASSERT_EQ(nearest_number(x_bits, k, GetParam()), number);
    }
  }
}

TEST(NearestNumberTo, InfinitiesHasTheMostOfTheirSigns) {
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<float> seven = {infinity, infinity, infinity};
  EXPECT_EQ(nearest_number(seven, 5, false), 3);
}

TEST(Gray, InverseTurnsItBack) {
  for (uint32_t number : {0U, 1U, 2U, 255U, 256U, 0x7fffffffU, 0x80000000U, 0xffffffffU}) {
    EXPECT_EQ(number_of_gray(gray_of(number)), number);
  }
}

}  // namespace
}  // namespace bitdiff
