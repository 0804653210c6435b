#pragma once

#include <cstdint>
#include <utility>

/// Some floats at a time, for loops that are compiled for AVX-512 and for AVX2 whatever the build
/// is for. Such a loop is a function template over the instruction set, called by on_vectors(), and
/// is forced inline with all it calls, for inlining is what gives the callee its vectors.
namespace bitdiff::kernels {

/// Channels and widths come in multiples of this.
inline constexpr int64_t kLanes = 16;

// Attributes, which no function can stand for. On other machines the loops compile to plain code
// that nobody calls.
#if defined(__x86_64__) && defined(__GNUC__)
#define BITDIFF_TARGET(set) [[gnu::target(set)]]
#else
#define BITDIFF_TARGET(set)
#endif

/// Whether the processor has these, and the environment does not hide them: ATEN_CPU_CAPABILITY,
/// LibTorch's own switch, of `avx2` hides AVX-512 and of `default` both.
bool has_avx512();
bool has_avx2();

/// Whether on_vectors() may be called.
inline bool has_vectors() { return has_avx512() || has_avx2(); }

struct Avx512 {
  static constexpr int64_t kLanes = 16;
  static constexpr int kColumns = 4;  ///< Vectors across a block of a matrix, see matrix_product.h.
  using Vector [[gnu::vector_size(64), gnu::may_alias]] = float;
  using Unaligned [[gnu::vector_size(64), gnu::may_alias, gnu::aligned(4)]] = float;

  template <class Body>
  BITDIFF_TARGET("avx512f")
  static void run(const Body& body) {
    body(Avx512());
  }
};

struct Avx2 {
  static constexpr int64_t kLanes = 8;
  static constexpr int kColumns = 2;
  using Vector [[gnu::vector_size(32), gnu::may_alias]] = float;
  using Unaligned [[gnu::vector_size(32), gnu::may_alias, gnu::aligned(4)]] = float;

  template <class Body>
  BITDIFF_TARGET("avx2,fma")
  static void run(const Body& body) {
    body(Avx2());
  }
};

/// Calls body(Avx512()) or body(Avx2()), compiled for that, whichever the processor has. `body` is
/// a generic lambda marked __attribute__((always_inline)).
template <class Body>
void on_vectors(const Body& body) {
  if (has_avx512())
    Avx512::run(body);
  else
    Avx2::run(body);
}

/// The floats at `from`. Out by reference: by value a vector has no calling convention that all
/// builds share.
template <class Isa>
[[gnu::always_inline]] inline void load(typename Isa::Vector& v, const float* from) {
  v = *reinterpret_cast<const Isa::Unaligned*>(from);
}

template <class Isa>
[[gnu::always_inline]] inline void store(float* to, const typename Isa::Vector& v) {
  *reinterpret_cast<Isa::Unaligned*>(to) = v;
}

// Exchanges the lanes of `a` whose number has the bit `kBit` with those of `b` that have it not.
template <int kBit, class Vector, int... kLane>
[[gnu::always_inline]] inline void exchange(Vector& a, Vector& b,
                                            std::integer_sequence<int, kLane...> /*lanes*/) {
  constexpr int kCount = sizeof...(kLane);
  const Vector first =
      __builtin_shufflevector(a, b, ((kLane & kBit) != 0 ? kLane - kBit + kCount : kLane)...);
  b = __builtin_shufflevector(a, b, ((kLane & kBit) != 0 ? kLane + kCount : kLane + kBit)...);
  a = first;
}

/// Makes rows of a square matrix, one a lane, its columns. Lane by lane a transposed matrix is one
/// whose places have the bits of row and column exchanged.
template <class Isa, int kBit = Isa::kLanes / 2>
[[gnu::always_inline]] inline void transpose(typename Isa::Vector (&rows)[Isa::kLanes]) {
#pragma GCC unroll 16
  for (int i = 0; i < Isa::kLanes; ++i) {
    if ((i & kBit) == 0)
      exchange<kBit>(rows[i], rows[i + kBit], std::make_integer_sequence<int, Isa::kLanes>());
  }
  if constexpr (kBit > 1) transpose<Isa, kBit / 2>(rows);
}

}  // namespace bitdiff::kernels
