#pragma once

#include <bit>
#include <cstdint>

/// What the loops of this folder need of float arithmetic in a form that compilers vectorise.
namespace bitdiff::kernels {

// The build is for any x86-64; loops marked so are compiled for wider vectors too and chosen as the
// program starts. An attribute, which no function can stand for.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define BITDIFF_VECTORS [[gnu::target_clones("avx512f", "avx2", "default")]]
#else
#define BITDIFF_VECTORS
#endif

/// e^x to 2 units in the last place for x in [-87, 88], by Cephes' polynomial (Moshier, expf).
[[gnu::always_inline]] inline float exp_in_range(float x) {
  constexpr float kRound = 12582912.0F;  // 1.5 * 2^23: adding it leaves no place for fractions.
  const float n = (x * 1.44269504F + kRound) - kRound;
  const float r = (x - n * 0.693359375F) + n * 2.12194440e-4F;  // ln 2 in two parts.
  float p = 1.9875691500e-4F;
  p = p * r + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  const float fraction = p * r * r + r + 1.0F;
  const auto exponent = static_cast<uint32_t>(static_cast<int32_t>(n) + 127);
  return fraction * std::bit_cast<float>(exponent << 23);
}

/// The same for all x; e^x is taken as e^-87 below -87 and as e^88 above 88.
[[gnu::always_inline]] inline float fast_exp(float x) {
  x = x < -87.0F ? -87.0F : x;
  x = x > 88.0F ? 88.0F : x;
  return exp_in_range(x);
}

/// 1 / (1 + e^-x), at +-87 beyond that and for NaN. The bits are what is clamped: of two floats
/// that are compared GCC makes a case of its own, which for all x multiplies by the result at the
/// limit, and numbers that small take a hundred cycles.
[[gnu::always_inline]] inline float sigmoid(float x) {
  constexpr auto kLimit = std::bit_cast<uint32_t>(87.0F), kSign = uint32_t{1} << 31U;
  const auto bits = std::bit_cast<uint32_t>(x), size = bits & ~kSign;
  const auto clamped = (bits & kSign) | (size < kLimit ? size : kLimit);
  return 1.0F / (1.0F + exp_in_range(-std::bit_cast<float>(clamped)));
}

[[gnu::always_inline]] inline float silu(float x) { return x * sigmoid(x); }

/// d silu(x) / dx.
[[gnu::always_inline]] inline float silu_slope(float x) {
  const float s = sigmoid(x);
  return s * (1.0F + x * (1.0F - s));
}

}  // namespace bitdiff::kernels
