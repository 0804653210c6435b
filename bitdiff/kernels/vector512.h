#pragma once

#include <cstdint>

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

}  // namespace bitdiff::kernels
