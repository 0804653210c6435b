#include "bitdiff/kernels/winograd.h"

#include <numbers>

#include "bitdiff/kernels/vectors.h"

namespace bitdiff::kernels::winograd {
namespace {

// The points +-a and +-b; a^2 = 1/2 and b^2 = 2 are written out below.
constexpr float kA = 1 / std::numbers::sqrt2_v<float>;
constexpr float kB = std::numbers::sqrt2_v<float>;
// What G divides by at +-a and at +-b: the product of the differences to the other points.
constexpr float kAtA = -1 / 1.5F;
constexpr float kAtB = 1 / 6.0F;

// One dimension each, in terms of what is even and odd in the points.

// B^T d, in place.
template <class Vector>
[[gnu::always_inline]] inline void input(Vector& d0, Vector& d1, Vector& d2, Vector& d3, Vector& d4,
                                         Vector& d5) {
  const Vector even_a = d4 - 2.0F * d2, odd_a = kA * (d3 - 2.0F * d1);
  const Vector even_b = d4 - 0.5F * d2, odd_b = kB * (d3 - 0.5F * d1);
  d0 = d0 - 2.5F * d2 + d4;
  d5 = d1 - 2.5F * d3 + d5;
  d1 = even_a + odd_a;
  d2 = even_a - odd_a;
  d3 = even_b + odd_b;
  d4 = even_b - odd_b;
}

// A^T m.
template <class Vector>
[[gnu::always_inline]] inline void output(const Vector (&m)[kIn], Vector (&y)[kOut]) {
  const Vector even_a = m[1] + m[2], odd_a = kA * (m[1] - m[2]);
  const Vector even_b = m[3] + m[4], odd_b = kB * (m[3] - m[4]);
  y[0] = m[0] + even_a + even_b;
  y[1] = odd_a + odd_b;
  y[2] = 0.5F * even_a + 2.0F * even_b;
  y[3] = 0.5F * odd_a + 2.0F * odd_b + m[5];
}

// A y.
template <class Vector>
[[gnu::always_inline]] inline void output_transposed(const Vector (&y)[kOut], Vector (&m)[kIn]) {
  const Vector even_a = y[0] + 0.5F * y[2], odd_a = kA * (y[1] + 0.5F * y[3]);
  const Vector even_b = y[0] + 2.0F * y[2], odd_b = kB * (y[1] + 2.0F * y[3]);
  m[0] = y[0];
  m[1] = even_a + odd_a;
  m[2] = even_a - odd_a;
  m[3] = even_b + odd_b;
  m[4] = even_b - odd_b;
  m[5] = y[3];
}

// G g.
template <class Vector>
[[gnu::always_inline]] inline void kernel(const Vector (&g)[3], Vector (&u)[kIn]) {
  const Vector even_a = kAtA * (g[0] + 0.5F * g[2]), odd_a = kAtA * kA * g[1];
  const Vector even_b = kAtB * (g[0] + 2.0F * g[2]), odd_b = kAtB * kB * g[1];
  u[0] = g[0];
  u[1] = even_a + odd_a;
  u[2] = even_a - odd_a;
  u[3] = even_b + odd_b;
  u[4] = even_b - odd_b;
  u[5] = g[2];
}

// G^T u.
template <class Vector>
[[gnu::always_inline]] inline void kernel_transposed(const Vector (&u)[kIn], Vector (&g)[3]) {
  const Vector even_a = kAtA * (u[1] + u[2]), odd_a = kAtA * kA * (u[1] - u[2]);
  const Vector even_b = kAtB * (u[3] + u[4]), odd_b = kAtB * kB * (u[3] - u[4]);
  g[0] = u[0] + even_a + even_b;
  g[1] = odd_a + odd_b;
  g[2] = 0.5F * even_a + 2.0F * even_b + u[5];
}

// Two dimensions, for some channels at a time.

template <class Isa>
[[gnu::always_inline]] inline void transform_input_on(const float* const* d, int64_t channels,
                                                      float* to, int64_t plane) {
  for (int64_t c = 0; c < channels; c += Isa::kLanes) {
    typename Isa::Vector v[kIn][kIn];
#pragma GCC unroll 6
    for (int j = 0; j < kIn; ++j) {
#pragma GCC unroll 6
      for (int i = 0; i < kIn; ++i) load<Isa>(v[i][j], d[i * kIn + j] + c);
      input(v[0][j], v[1][j], v[2][j], v[3][j], v[4][j], v[5][j]);
    }
#pragma GCC unroll 6
    for (int i = 0; i < kIn; ++i) {
      input(v[i][0], v[i][1], v[i][2], v[i][3], v[i][4], v[i][5]);
#pragma GCC unroll 6
      for (int j = 0; j < kIn; ++j) store<Isa>(to + (i * kIn + j) * plane + c, v[i][j]);
    }
  }
}

template <class Isa>
[[gnu::always_inline]] inline void transform_output_on(const float* m, int64_t plane,
                                                       int64_t channels, const float* bias,
                                                       const float* const* residual, float factor,
                                                       float* const* y) {
  for (int64_t c = 0; c < channels; c += Isa::kLanes) {
    typename Isa::Vector half[kOut][kIn], offset;
#pragma GCC unroll 6
    for (int j = 0; j < kIn; ++j) {
      typename Isa::Vector column[kIn], out[kOut];
#pragma GCC unroll 6
      for (int i = 0; i < kIn; ++i) load<Isa>(column[i], m + (i * kIn + j) * plane + c);
      output(column, out);
#pragma GCC unroll 4
      for (int i = 0; i < kOut; ++i) half[i][j] = out[i];
    }
    load<Isa>(offset, bias + c);
#pragma GCC unroll 4
    for (int i = 0; i < kOut; ++i) {
      typename Isa::Vector out[kOut];
      output(half[i], out);
#pragma GCC unroll 4
      for (int j = 0; j < kOut; ++j) {
        out[j] += offset;
        if (residual) {
          typename Isa::Vector more;
          load<Isa>(more, residual[i * kOut + j] + c);
          out[j] = (out[j] + more) * factor;
        }
        store<Isa>(y[i * kOut + j] + c, out[j]);
      }
    }
  }
}

template <class Isa>
[[gnu::always_inline]] inline void transform_output_gradient_on(const float* const* dy,
                                                                int64_t channels, float* to,
                                                                int64_t plane) {
  for (int64_t c = 0; c < channels; c += Isa::kLanes) {
    typename Isa::Vector half[kIn][kOut];
#pragma GCC unroll 4
    for (int j = 0; j < kOut; ++j) {
      typename Isa::Vector column[kOut], out[kIn];
#pragma GCC unroll 4
      for (int i = 0; i < kOut; ++i) load<Isa>(column[i], dy[i * kOut + j] + c);
      output_transposed(column, out);
#pragma GCC unroll 6
      for (int i = 0; i < kIn; ++i) half[i][j] = out[i];
    }
#pragma GCC unroll 6
    for (int i = 0; i < kIn; ++i) {
      typename Isa::Vector out[kIn];
      output_transposed(half[i], out);
#pragma GCC unroll 6
      for (int j = 0; j < kIn; ++j) store<Isa>(to + (i * kIn + j) * plane + c, out[j]);
    }
  }
}

template <class Isa>
[[gnu::always_inline]] inline void transform_kernel_on(const float* g, int64_t step,
                                                       int64_t channels, float* to, int64_t plane) {
  for (int64_t c = 0; c < channels; c += Isa::kLanes) {
    typename Isa::Vector half[kIn][3];
#pragma GCC unroll 3
    for (int j = 0; j < 3; ++j) {
      typename Isa::Vector column[3], out[kIn];
#pragma GCC unroll 3
      for (int i = 0; i < 3; ++i) load<Isa>(column[i], g + (3 * i + j) * step + c);
      kernel(column, out);
#pragma GCC unroll 6
      for (int i = 0; i < kIn; ++i) half[i][j] = out[i];
    }
#pragma GCC unroll 6
    for (int i = 0; i < kIn; ++i) {
      typename Isa::Vector out[kIn];
      kernel(half[i], out);
#pragma GCC unroll 6
      for (int j = 0; j < kIn; ++j) store<Isa>(to + (i * kIn + j) * plane + c, out[j]);
    }
  }
}

template <class Isa>
[[gnu::always_inline]] inline void transform_kernel_gradient_on(const float* dm, int64_t plane,
                                                                int64_t channels, float* dg,
                                                                int64_t step) {
  for (int64_t c = 0; c < channels; c += Isa::kLanes) {
    typename Isa::Vector half[3][kIn];
#pragma GCC unroll 6
    for (int j = 0; j < kIn; ++j) {
      typename Isa::Vector column[kIn], out[3];
#pragma GCC unroll 6
      for (int i = 0; i < kIn; ++i) load<Isa>(column[i], dm + (i * kIn + j) * plane + c);
      kernel_transposed(column, out);
#pragma GCC unroll 3
      for (int i = 0; i < 3; ++i) half[i][j] = out[i];
    }
#pragma GCC unroll 3
    for (int i = 0; i < 3; ++i) {
      typename Isa::Vector out[3];
      kernel_transposed(half[i], out);
#pragma GCC unroll 3
      for (int j = 0; j < 3; ++j) store<Isa>(dg + (3 * i + j) * step + c, out[j]);
    }
  }
}

}  // namespace

void transform_input(const float* const* d, int64_t channels, float* to, int64_t plane) {
  on_vectors([&](auto isa) __attribute__((always_inline)) {
    transform_input_on<decltype(isa)>(d, channels, to, plane);
  });
}

void transform_output(const float* m, int64_t plane, int64_t channels, const float* bias,
                      const float* const* residual, float factor, float* const* y) {
  on_vectors([&](auto isa) __attribute__((always_inline)) {
    transform_output_on<decltype(isa)>(m, plane, channels, bias, residual, factor, y);
  });
}

void transform_output_gradient(const float* const* dy, int64_t channels, float* to, int64_t plane) {
  on_vectors([&](auto isa) __attribute__((always_inline)) {
    transform_output_gradient_on<decltype(isa)>(dy, channels, to, plane);
  });
}

void transform_kernel(const float* g, int64_t step, int64_t channels, float* to, int64_t plane) {
  on_vectors([&](auto isa) __attribute__((always_inline)) {
    transform_kernel_on<decltype(isa)>(g, step, channels, to, plane);
  });
}

void transform_kernel_gradient(const float* dm, int64_t plane, int64_t channels, float* dg,
                               int64_t step) {
  on_vectors([&](auto isa) __attribute__((always_inline)) {
    transform_kernel_gradient_on<decltype(isa)>(dm, plane, channels, dg, step);
  });
}

}  // namespace bitdiff::kernels::winograd
