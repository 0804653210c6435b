#include "bitdiff/kernels/layer_norm_cpu.h"

#include <algorithm>
#include <cmath>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros_like.h>

#include "bitdiff/kernels/takes_avx512.h"
#include "bitdiff/kernels/vector512.h"

namespace bitdiff::kernels::cpu {
namespace {

constexpr double kEps = 1e-6;
constexpr int64_t kGrain = 64;  // Rows that are worth a thread.

[[gnu::always_inline]] inline double sum_lanes(const Vector& v) {
  double sum = 0;
  for (int i = 0; i < kLanes; ++i) sum += static_cast<double>(v[i]);
  return sum;
}

// The numbers of one row, which stays in the first-level cache.
struct Row {
  const float* x;
  int64_t width;
  float mean, rstd;
};

BITDIFF_AVX512 void find_moments(Row& row) {
  Vector sum = {}, squares = {}, x;
  for (int64_t c = 0; c < row.width; c += kLanes) {
    load(x, row.x + c);
    sum += x;
  }
  const auto count = static_cast<double>(row.width);
  row.mean = static_cast<float>(sum_lanes(sum) / count);
  for (int64_t c = 0; c < row.width; c += kLanes) {
    load(x, row.x + c);
    x -= row.mean;
    squares += x * x;
  }
  row.rstd = static_cast<float>(1 / std::sqrt(sum_lanes(squares) / count + kEps));
}

BITDIFF_AVX512 void apply(const Row& row, const float* weight, const float* bias, float* y) {
  for (int64_t c = 0; c < row.width; c += kLanes) {
    Vector x, w, b;
    load(x, row.x + c);
    load(w, weight + c);
    load(b, bias + c);
    store(y + c, (x - row.mean) * row.rstd * w + b);
  }
}

// With n = (x - mean) * rstd, g = dy * weight and E the mean over a row:
// dx = rstd * (g - E[g] - n * E[g n]). Adds to dweight and dbias.
BITDIFF_AVX512 void apply_gradient(const Row& row, const float* dy, const float* weight, float* dx,
                                   float* dweight, float* dbias) {
  Vector sum = {}, along = {};
  for (int64_t c = 0; c < row.width; c += kLanes) {
    Vector x, d, w, dw, db;
    load(x, row.x + c);
    load(d, dy + c);
    load(w, weight + c);
    load(dw, dweight + c);
    load(db, dbias + c);
    const Vector n = (x - row.mean) * row.rstd;
    sum += d * w;
    along += d * w * n;
    store(dweight + c, dw + d * n);
    store(dbias + c, db + d);
  }
  const auto count = static_cast<double>(row.width);
  const auto mean_g = static_cast<float>(sum_lanes(sum) / count);
  const auto mean_gn = static_cast<float>(sum_lanes(along) / count);
  for (int64_t c = 0; c < row.width; c += kLanes) {
    Vector x, d, w;
    load(x, row.x + c);
    load(d, dy + c);
    load(w, weight + c);
    store(dx + c, row.rstd * (d * w - mean_g - (x - row.mean) * row.rstd * mean_gn));
  }
}

}  // namespace

bool fits_layer_norm(const Tensor& x) {
  return takes_avx512(x) && x.is_contiguous() && x.dim() == 3 && x.size(2) > 0 &&
         x.size(2) % kLanes == 0;
}

Normed layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  const int64_t length = x.size(1), width = x.size(2), rows = x.size(0) * length;
  Normed norm{at::empty_like(x), at::empty({x.size(0), length}, x.options()),
              at::empty({x.size(0), length}, x.options())};
  at::parallel_for(0, rows, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      Row row{.x = x.const_data_ptr<float>() + i * width, .width = width, .mean = 0, .rstd = 0};
      find_moments(row);
      norm.mean.mutable_data_ptr<float>()[i] = row.mean;
      norm.rstd.mutable_data_ptr<float>()[i] = row.rstd;
      const int64_t of_batch = i / length * width;
      apply(row, weight.const_data_ptr<float>() + of_batch, bias.const_data_ptr<float>() + of_batch,
            norm.y.mutable_data_ptr<float>() + i * width);
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
        apply_gradient(row, dy.const_data_ptr<float>() + i * width,
                       weight.const_data_ptr<float>() + b * width,
                       gradient.x.mutable_data_ptr<float>() + i * width,
                       gradient.weight.mutable_data_ptr<float>() + b * width,
                       gradient.bias.mutable_data_ptr<float>() + b * width);
      }
    }
  });
  return gradient;
}

}  // namespace bitdiff::kernels::cpu
