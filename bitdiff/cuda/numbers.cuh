#pragma once

#include <cstdint>

/// Numbers as kernels read and write them: several neighbours at once, in float32 while in use.
namespace bitdiff::cuda {

/// The upper half of a float32.
struct BFloat16 {
  uint16_t bits;
};

__device__ inline float widen(float x) { return x; }
__device__ inline float widen(BFloat16 x) {
  return __uint_as_float(static_cast<uint32_t>(x.bits) << 16);
}

__device__ inline void narrow(float x, float& to) { to = x; }
__device__ inline void narrow(float x, BFloat16& to) {
  const uint32_t bits = __float_as_uint(x);
  const uint32_t nearest = bits + 0x7FFF + ((bits >> 16) & 1);  // Ties to even.
  to.bits = static_cast<uint16_t>(x == x ? nearest >> 16 : 0x7FC0);
}

/// V neighbouring numbers, which lie at a multiple of their size.
template <typename T, int V>
struct alignas(sizeof(T) * V) Neighbours {
  T at[V];
};

template <int V>
struct Floats {
  float at[V];
};

template <int V, typename T>
__device__ Floats<V> load(const T* from) {
  const auto numbers = *reinterpret_cast<const Neighbours<T, V>*>(from);
  Floats<V> x;
  for (int v = 0; v < V; ++v) x.at[v] = widen(numbers.at[v]);
  return x;
}

template <int V, typename T>
__device__ void store(const Floats<V>& x, T* to) {
  Neighbours<T, V> numbers;
  for (int v = 0; v < V; ++v) narrow(x.at[v], numbers.at[v]);
  *reinterpret_cast<Neighbours<T, V>*>(to) = numbers;
}

__device__ inline float sigmoid(float x) { return 1.0F / (1.0F + expf(-x)); }
__device__ inline float silu(float x) { return x * sigmoid(x); }

/// d silu(x) / dx.
__device__ inline float silu_slope(float x) {
  const float s = sigmoid(x);
  return s * (1.0F + x * (1.0F - s));
}

}  // namespace bitdiff::cuda
