#include "bitdiff/kernels/group_norm_cpu.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

namespace bitdiff::kernels::cpu {
namespace {

constexpr double kEps = 1e-5;

// The build is for any x86-64; these loops are compiled for wider vectors too and chosen as the
// program starts.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define BITDIFF_VECTORS [[gnu::target_clones("avx512f", "avx2", "default")]]
#else
#define BITDIFF_VECTORS
#endif

// A row of a batch in channels-last order is an image of `places` x `channels` numbers. The loops
// below run over all its places and, inside, over channels, which the compiler vectorises.
struct Layout {
  int64_t places, channels, groups;

  int64_t width() const { return channels / groups; }
};

Layout layout_of(const Tensor& x, int64_t groups) {
  return {x.size(2) * x.size(3), x.size(1), groups};
}

// sums[c] = sum over places of x[place, c].
BITDIFF_VECTORS void sum_places(const float* x, const Layout& layout, float* __restrict sums) {
  std::fill(sums, sums + layout.channels, 0.0F);
  for (int64_t place = 0; place < layout.places; ++place, x += layout.channels)
    for (int64_t c = 0; c < layout.channels; ++c) sums[c] += x[c];
}

// sums[c] = sum over places of (x[place, c] - mean[c])^2.
BITDIFF_VECTORS void sum_squares(const float* x, const float* mean, const Layout& layout,
                                 float* __restrict sums) {
  std::fill(sums, sums + layout.channels, 0.0F);
  for (int64_t place = 0; place < layout.places; ++place, x += layout.channels)
    for (int64_t c = 0; c < layout.channels; ++c) sums[c] += (x[c] - mean[c]) * (x[c] - mean[c]);
}

// y = (x - mean) * slope + bias.
BITDIFF_VECTORS void apply(const float* x, const float* mean, const float* slope, const float* bias,
                           const Layout& layout, float* __restrict y) {
  for (int64_t place = 0; place < layout.places; ++place, x += layout.channels) {
    for (int64_t c = 0; c < layout.channels; ++c) y[c] = (x[c] - mean[c]) * slope[c] + bias[c];
    y += layout.channels;
  }
}

// dbias[c] = sum over places of dy, dweight[c] = sum over places of dy * (x - mean).
BITDIFF_VECTORS void sum_gradients(const float* dy, const float* x, const float* mean,
                                   const Layout& layout, float* __restrict dbias,
                                   float* __restrict dweight) {
  std::fill(dbias, dbias + layout.channels, 0.0F);
  std::fill(dweight, dweight + layout.channels, 0.0F);
  for (int64_t place = 0; place < layout.places; ++place) {
    for (int64_t c = 0; c < layout.channels; ++c) {
      dbias[c] += dy[c];
      dweight[c] += dy[c] * (x[c] - mean[c]);
    }
    x += layout.channels;
    dy += layout.channels;
  }
}

// dx = dy * slope - (x - mean) * along - offset.
BITDIFF_VECTORS void apply_gradient(const float* dy, const float* x, const float* mean,
                                    const float* slope, const float* along, const float* offset,
                                    const Layout& layout, float* __restrict dx) {
  for (int64_t place = 0; place < layout.places; ++place) {
    for (int64_t c = 0; c < layout.channels; ++c)
      dx[c] = dy[c] * slope[c] - (x[c] - mean[c]) * along[c] - offset[c];
    x += layout.channels;
    dy += layout.channels;
    dx += layout.channels;
  }
}

// means[c] = the mean over the group of c, whose channels have these sums.
void mean_of_groups(const float* sums, const Layout& layout, float* means) {
  for (int64_t first = 0; first < layout.channels; first += layout.width()) {
    const double sum = std::accumulate(sums + first, sums + first + layout.width(), 0.0);
    const double count = static_cast<double>(layout.places * layout.width());
    std::fill(means + first, means + first + layout.width(), static_cast<float>(sum / count));
  }
}

}  // namespace

GroupNorm group_norm(const Tensor& x, int64_t groups, const Tensor& weight, const Tensor& bias) {
  const auto layout = layout_of(x, groups);
  const auto channels = layout.channels, row = layout.places * channels;
  GroupNorm norm{at::empty_like(x), at::empty_like(weight), at::empty_like(weight)};
  at::parallel_for(0, x.size(0), 1, [&](int64_t begin, int64_t end) {
    std::vector<float> sums(channels), slope(channels);
    for (int64_t b = begin; b < end; ++b) {
      const float* from = x.const_data_ptr<float>() + b * row;
      const float* w = weight.const_data_ptr<float>() + b * channels;
      float* mean = norm.mean.mutable_data_ptr<float>() + b * channels;
      float* rstd = norm.rstd.mutable_data_ptr<float>() + b * channels;
      sum_places(from, layout, sums.data());
      mean_of_groups(sums.data(), layout, mean);
      // A second pass, for the difference of two large moments would lose digits.
      sum_squares(from, mean, layout, sums.data());
      mean_of_groups(sums.data(), layout, rstd);
      for (int64_t c = 0; c < channels; ++c) {
        rstd[c] = static_cast<float>(1 / std::sqrt(rstd[c] + kEps));
        slope[c] = w[c] * rstd[c];
      }
      apply(from, mean, slope.data(), bias.const_data_ptr<float>() + b * channels, layout,
            norm.y.mutable_data_ptr<float>() + b * row);
    }
  });
  return norm;
}

// With n = (x - mean) * rstd and y = n * weight + bias, and E the mean over a group:
// dx = rstd * (weight * dy - E[weight * dy] - n * E[weight * dy * n]).
GroupNormGradient group_norm_gradient(const Tensor& dy, const Tensor& x, int64_t groups,
                                      const Tensor& weight, const GroupNorm& norm) {
  const auto layout = layout_of(x, groups);
  const auto channels = layout.channels, row = layout.places * channels;
  GroupNormGradient gradient{at::empty_like(x), at::empty_like(weight), at::empty_like(weight)};
  at::parallel_for(0, x.size(0), 1, [&](int64_t begin, int64_t end) {
    std::vector<float> slope(channels), along(channels), offset(channels), sums(channels);
    for (int64_t b = begin; b < end; ++b) {
      const float* dy_row = dy.const_data_ptr<float>() + b * row;
      const float* x_row = x.const_data_ptr<float>() + b * row;
      const float* w = weight.const_data_ptr<float>() + b * channels;
      const float* mean = norm.mean.const_data_ptr<float>() + b * channels;
      const float* rstd = norm.rstd.const_data_ptr<float>() + b * channels;
      float* dweight = gradient.weight.mutable_data_ptr<float>() + b * channels;
      float* dbias = gradient.bias.mutable_data_ptr<float>() + b * channels;
      sum_gradients(dy_row, x_row, mean, layout, dbias, dweight);
      for (int64_t c = 0; c < channels; ++c) {
        dweight[c] *= rstd[c];
        slope[c] = w[c] * rstd[c];
        sums[c] = slope[c] * dbias[c];
      }
      mean_of_groups(sums.data(), layout, offset.data());
      for (int64_t c = 0; c < channels; ++c) sums[c] = slope[c] * dweight[c] * rstd[c];
      mean_of_groups(sums.data(), layout, along.data());
      apply_gradient(dy_row, x_row, mean, slope.data(), along.data(), offset.data(), layout,
                     gradient.x.mutable_data_ptr<float>() + b * row);
    }
  });
  return gradient;
}

}  // namespace bitdiff::kernels::cpu
