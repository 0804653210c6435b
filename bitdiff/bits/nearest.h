#pragma once

#include <cstdint>
#include <span>

namespace bitdiff {

/// The reflected Gray code of a number: neighbours differ in one bit.
constexpr uint32_t gray_of(uint32_t number) { return number ^ (number >> 1); }

/// The number whose Gray code is `gray`.
constexpr uint32_t number_of_gray(uint32_t gray) {
  for (const int shift : {1, 2, 4, 8, 16}) gray ^= gray >> shift;
  return gray;
}

/// The number in [0, categories) whose code (`gray`: its Gray code, else itself) is nearest to
/// `x_bits` in Euclidean distance, with +-1 for the bits of a code, least significant first.
///
/// `x_bits`: as many as categories - 1 has bits, none of them NaN. Which of several nearest
/// numbers is returned is fixed but not specified.
int64_t nearest_number(std::span<const float> x_bits, int64_t categories, bool gray);

}  // namespace bitdiff
