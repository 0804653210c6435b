#include "bitdiff/kernels/layer_norm_cpu.h"

#include <algorithm>
#include <cmath>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros_like.h>

#include "bitdiff/kernels/takes_vectors.h"
#include "bitdiff/kernels/vectors.h"

namespace bitdiff::kernels::cpu {
namespace {

constexpr double kEps = 1e-6;
constexpr int64_t kGrain = 64;  // Rows that are worth a thread.

template <class Isa>
[[gnu::always_inline]] inline double sum_lanes(const typename Isa::Vector& v) {
  double sum = 0;
  for (int i = 0; i < Isa::kLanes; ++i) sum += static_cast<double>(v[i]);
  return sum;
}

// The numbers of one row, which stays in the first-level cache.
struct Row {
  const float* x;
  int64_t width;
  float mean, rstd;
};

template <class Isa>
[[gnu::always_inline]] inline void find_moments(Row& row) {
  typename Isa::Vector sum = {}, squares = {}, x;
  for (int64_t c = 0; c < row.width; c += Isa::kLanes) {
    load<Isa>(x, row.x + c);
    sum += x;
  }
  const auto count = static_cast<double>(row.width);
  row.mean = static_cast<float>(sum_lanes<Isa>(sum) / count);
  for (int64_t c = 0; c < row.width; c += Isa::kLanes) {
    load<Isa>(x, row.x + c);
    x -= row.mean;
    squares += x * x;
  }
  row.rstd = static_cast<float>(1 / std::sqrt(sum_lanes<Isa>(squares) / count + kEps));
}

template <class Isa>
[[gnu::always_inline]] inline void apply(const Row& row, const float* weight, const float* bias,
                                         float* y) {
  for (int64_t c = 0; c < row.width; c += Isa::kLanes) {
    typename Isa::Vector x, w, b;
    load<Isa>(x, row.x + c);
    load<Isa>(w, weight + c);
    load<Isa>(b, bias + c);
    store<Isa>(y + c, (x - row.mean) * row.rstd * w + b);
  }
}

// With n = (x - mean) * rstd, g = dy * weight and E the mean over a row:
// dx = rstd * (g - E[g] - n * E[g n]). Adds to dweight and dbias.
template <class Isa>
[[gnu::always_inline]] inline void apply_gradient(const Row& row, const float* dy,
                                                  const float* weight, float* dx, float* dweight,
                                                  float* dbias) {
  typename Isa::Vector sum = {}, along = {};
  for (int64_t c = 0; c < row.width; c += Isa::kLanes) {
    typename Isa::Vector x, d, w, dw, db;
    load<Isa>(x, row.x + c);
    load<Isa>(d, dy + c);
    load<Isa>(w, weight + c);
    load<Isa>(dw, dweight + c);
    load<Isa>(db, dbias + c);
    const typename Isa::Vector n = (x - row.mean) * row.rstd;
    sum += d * w;
    along += d * w * n;
    store<Isa>(dweight + c, dw + d * n);
    store<Isa>(dbias + c, db + d);
  }
  const auto count = static_cast<double>(row.width);
  const auto mean_g = static_cast<float>(sum_lanes<Isa>(sum) / count);
  const auto mean_gn = static_cast<float>(sum_lanes<Isa>(along) / count);
  for (int64_t c = 0; c < row.width; c += Isa::kLanes) {
    typename Isa::Vector x, d, w;
    load<Isa>(x, row.x + c);
    load<Isa>(d, dy + c);
    load<Isa>(w, weight + c);
    store<Isa>(dx + c, row.rstd * (d * w - mean_g - (x - row.mean) * row.rstd * mean_gn));
  }
}

}  // namespace

bool fits_layer_norm(const Tensor& x) {
  return takes_vectors(x) && x.is_contiguous() && x.dim() == 3 && x.size(2) > 0 &&
         x.size(2) % kLanes == 0;
}

Normed layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  const int64_t length = x.size(1), width = x.size(2), rows = x.size(0) * length;
  Normed norm{at::empty_like(x), at::empty({x.size(0), length}, x.options()),
              at::empty({x.size(0), length}, x.options())};
  at::parallel_for(0, rows, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      Row row{.x = x.const_data_ptr<float>() + i * width, .width = width, .mean = 0, .rstd = 0};
      const float* w = weight.const_data_ptr<float>() + i / length * width;
      const float* shift = bias.const_data_ptr<float>() + i / length * width;
      float* y = norm.y.mutable_data_ptr<float>() + i * width;
      on_vectors([&](auto isa) __attribute__((always_inline)) {
        find_moments<decltype(isa)>(row);
        apply<decltype(isa)>(row, w, shift, y);
      });
      norm.mean.mutable_data_ptr<float>()[i] = row.mean;
      norm.rstd.mutable_data_ptr<float>()[i] = row.rstd;
    }
  });
  return norm;
}

LayerNormGradient layer_norm_gradient(const Tensor& dy, const Tensor& x, const Tensor& weight,
                                      const Normed& norm) {
  const int64_t length = x.size(1), width = x.size(2);
  LayerNormGradient gradient{at::empty_like(x), at::zeros_like(weight), at::zeros_like(weight)};
  at::parallel_for(0, x.size(0), 1, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      for (int64_t i = b * length; i < (b + 1) * length; ++i) {
        const Row row{.x = x.const_data_ptr<float>() + i * width,
                      .width = width,
                      .mean = norm.mean.const_data_ptr<float>()[i],
                      .rstd = norm.rstd.const_data_ptr<float>()[i]};
        const float* upper = dy.const_data_ptr<float>() + i * width;
        const float* w = weight.const_data_ptr<float>() + b * width;
        float* dx = gradient.x.mutable_data_ptr<float>() + i * width;
        float* dweight = gradient.weight.mutable_data_ptr<float>() + b * width;
        float* dbias = gradient.bias.mutable_data_ptr<float>() + b * width;
        on_vectors([&](auto isa) __attribute__((always_inline)) {
          apply_gradient<decltype(isa)>(row, upper, w, dx, dweight, dbias);
        });
      }
    }
  });
  return gradient;
}

}  // namespace bitdiff::kernels::cpu
