#include "bitdiff/bits/nearest.h"

#include <algorithm>
#include <limits>

namespace bitdiff {
namespace {

constexpr double kHuge = std::numeric_limits<float>::max();

uint32_t threshold(std::span<const float> x_bits) {
  uint32_t code = 0;
  for (size_t bit = 0; bit < x_bits.size(); ++bit) {
    code |= static_cast<uint32_t>(x_bits[bit] > 0) << bit;
  }
  return code;
}

// All codes have the same norm: the nearest one has the largest inner product.
double inner_product(std::span<const float> x_bits, uint32_t code) {
  double sum = 0;
  for (size_t bit = 0; bit < x_bits.size(); ++bit) {
    // Infinities of both signs must not add up to NaN.
    const double x = std::clamp<double>(x_bits[bit], -kHuge, kHuge);
    sum += (code >> bit) & 1 ? x : -x;
  }
  return sum;
}

}  // namespace

int64_t nearest_number(std::span<const float> x_bits, int64_t categories, bool gray) {
  const auto last = static_cast<uint32_t>(categories - 1);
  const auto code_of = [gray](uint32_t number) { return gray ? gray_of(number) : number; };
  const uint32_t wished = threshold(x_bits);
  uint32_t best = code_of(last);
  double best_product = inner_product(x_bits, best);

  // A number below `last` agrees with it above some bit j, has 0 where `last` has 1 at j, and is
  // free below. Whatever it is below j, its code is the same from j upwards; and below j its code
  // can be anything, so that the wished bits are the best ones.
  for (size_t j = 0; j < x_bits.size(); ++j) {
    if (((last >> j) & 1) == 0) continue;
    const uint32_t below = (uint32_t{1} << j) - 1;
    const uint32_t prefix = last & ~((below << 1) | 1);
    const uint32_t code = (code_of(prefix) & ~below) | (wished & below);
    const double product = inner_product(x_bits, code);
    if (product > best_product) {
      best = code;
      best_product = product;
    }
  }
  return gray ? number_of_gray(best) : best;
}

}  // namespace bitdiff
