#pragma once

#include <cstdint>
#include <utility>

/// Sixteen floats at a time, for loops that are compiled for AVX-512 whatever the build is for.
/// Such a function is marked BITDIFF_AVX512 and runs only where has_avx512() says so; what it calls
/// in its loops is forced inline, for inlining is what gives the callee its vectors.
namespace bitdiff::kernels {

// Attributes, which no function can stand for. On other machines the loops compile to plain code
// that nobody calls.
#if defined(__x86_64__) && defined(__GNUC__)
#define BITDIFF_AVX512 [[gnu::target("avx512f")]]
#else
#define BITDIFF_AVX512
#endif

inline bool has_avx512() {
#if defined(__x86_64__) && defined(__GNUC__)
  return __builtin_cpu_supports("avx512f") != 0;
#else
  return false;
#endif
}

inline constexpr int64_t kLanes = 16;

using Vector [[gnu::vector_size(64), gnu::may_alias]] = float;
using UnalignedVector [[gnu::vector_size(64), gnu::may_alias, gnu::aligned(4)]] = float;

/// The sixteen floats at `from`. Out by reference: by value a vector has no calling convention that
/// all builds share.
[[gnu::always_inline]] inline void load(Vector& v, const float* from) {
  v = *reinterpret_cast<const UnalignedVector*>(from);
}

[[gnu::always_inline]] inline void store(float* to, const Vector& v) {
  *reinterpret_cast<UnalignedVector*>(to) = v;
}

// Exchanges the lanes of `a` whose number has the bit `kBit` with those of `b` that have it not.
template <int kBit, int... kLane>
[[gnu::always_inline]] inline void exchange(Vector& a, Vector& b,
                                            std::integer_sequence<int, kLane...> /*lanes*/) {
  const Vector first =
      __builtin_shufflevector(a, b, ((kLane & kBit) != 0 ? kLane - kBit + 16 : kLane)...);
  b = __builtin_shufflevector(a, b, ((kLane & kBit) != 0 ? kLane + 16 : kLane + kBit)...);
  a = first;
}

/// Makes rows of a 16 x 16 matrix its columns. Lane by lane a transposed matrix is one whose places
/// have the bits of row and column exchanged.
[[gnu::always_inline]] inline void transpose(Vector (&rows)[kLanes]) {
  constexpr auto kAll = std::make_integer_sequence<int, kLanes>();
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i)
    if ((i & 8) == 0) exchange<8>(rows[i], rows[i + 8], kAll);
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i)
    if ((i & 4) == 0) exchange<4>(rows[i], rows[i + 4], kAll);
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i)
    if ((i & 2) == 0) exchange<2>(rows[i], rows[i + 2], kAll);
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i)
    if ((i & 1) == 0) exchange<1>(rows[i], rows[i + 1], kAll);
}

}  // namespace bitdiff::kernels
