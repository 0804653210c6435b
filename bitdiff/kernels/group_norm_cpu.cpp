#include "bitdiff/kernels/group_norm_cpu.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include "bitdiff/kernels/math.h"

namespace bitdiff::kernels::cpu {
namespace {

constexpr double kEps = 1e-5;

// Some channels at all places of one image, in channels-last order. The loops below run over places
// and, inside, over channels, which the compiler vectorises.
struct Piece {
  int64_t places, channels;
};

// Numbers of one image for each channel of a piece.
struct Channels {
  const float *mean, *slope, *bias;
};

// sums[c] = sum over places of x[place, c].
BITDIFF_VECTORS void sum_places(const float* x, Piece piece, float* __restrict sums) {
  std::fill(sums, sums + piece.channels, 0.0F);
  for (int64_t place = 0; place < piece.places; ++place, x += piece.channels)
    for (int64_t c = 0; c < piece.channels; ++c) sums[c] += x[c];
}

// sums[c] = sum over places of (x[place, c] - mean[c])^2.
BITDIFF_VECTORS void sum_squares(const float* x, const float* mean, Piece piece,
                                 float* __restrict sums) {
  std::fill(sums, sums + piece.channels, 0.0F);
  for (int64_t place = 0; place < piece.places; ++place, x += piece.channels)
    for (int64_t c = 0; c < piece.channels; ++c) sums[c] += (x[c] - mean[c]) * (x[c] - mean[c]);
}

// y = (x - mean) * slope + bias; places of y are `y_step` apart.
BITDIFF_VECTORS void apply(const float* x, Piece piece, Channels of, int64_t y_step,
                           float* __restrict y) {
  for (int64_t place = 0; place < piece.places; ++place, x += piece.channels, y += y_step)
    for (int64_t c = 0; c < piece.channels; ++c)
      y[c] = (x[c] - of.mean[c]) * of.slope[c] + of.bias[c];
}

// y = silu((x - mean) * slope + bias).
BITDIFF_VECTORS void apply_silu(const float* x, Piece piece, Channels of, int64_t y_step,
                                float* __restrict y) {
  for (int64_t place = 0; place < piece.places; ++place, x += piece.channels, y += y_step)
    for (int64_t c = 0; c < piece.channels; ++c)
      y[c] = silu((x[c] - of.mean[c]) * of.slope[c] + of.bias[c]);
}

// dz = dy; places of dy are `dy_step` apart.
void copy(const float* dy, int64_t dy_step, const float* /*x*/, Piece piece, Channels /*of*/,
          float* dz) {
  for (int64_t place = 0; place < piece.places; ++place, dy += dy_step)
    dz = std::copy_n(dy, piece.channels, dz);
}

// dz = dy * d silu(z) / dz of the z that apply_silu computes.
BITDIFF_VECTORS void apply_silu_slope(const float* dy, int64_t dy_step, const float* x, Piece piece,
                                      Channels of, float* __restrict dz) {
  for (int64_t place = 0; place < piece.places; ++place) {
    for (int64_t c = 0; c < piece.channels; ++c)
      dz[c] = dy[c] * silu_slope((x[c] - of.mean[c]) * of.slope[c] + of.bias[c]);
    x += piece.channels;
    dy += dy_step;
    dz += piece.channels;
  }
}

// dbias[c] = sum over places of dz, dweight[c] = sum over places of dz * (x - mean).
BITDIFF_VECTORS void sum_gradients(const float* dz, const float* x, const float* mean, Piece piece,
                                   float* __restrict dbias, float* __restrict dweight) {
  std::fill(dbias, dbias + piece.channels, 0.0F);
  std::fill(dweight, dweight + piece.channels, 0.0F);
  for (int64_t place = 0; place < piece.places; ++place) {
    for (int64_t c = 0; c < piece.channels; ++c) {
      dbias[c] += dz[c];
      dweight[c] += dz[c] * (x[c] - mean[c]);
    }
    x += piece.channels;
    dz += piece.channels;
  }
}

// dx = dz * slope - (x - mean) * along - offset, in place of dz.
BITDIFF_VECTORS void apply_gradient(const float* x, Piece piece, const float* mean,
                                    const float* slope, const float* along, const float* offset,
                                    float* __restrict dz) {
  for (int64_t place = 0; place < piece.places; ++place) {
    for (int64_t c = 0; c < piece.channels; ++c)
      dz[c] = dz[c] * slope[c] - (x[c] - mean[c]) * along[c] - offset[c];
    x += piece.channels;
    dz += piece.channels;
  }
}

int64_t places_of(const Parts& x) { return x[0].size(2) * x[0].size(3); }

// Where image `b` of a part begins.
const float* image_of(const Tensor& part, int64_t b) {
  return part.const_data_ptr<float>() + b * part.stride(0);
}

// Calls work(image of the part, piece, first channel) for every part of image `b`.
template <class Work>
void for_each_part(const Parts& x, int64_t b, const Work& work) {
  int64_t first = 0;
  for (const auto& part : x) {
    work(image_of(part, b), Piece{places_of(x), part.size(1)}, first);
    first += part.size(1);
  }
}

// means[c] = the mean over the group of c, whose channels have these sums.
void mean_of_groups(const std::vector<float>& sums, int64_t places, int64_t groups, float* means) {
  const auto channels = static_cast<int64_t>(sums.size()), width = channels / groups;
  const double count = static_cast<double>(places * width);
  for (int64_t first = 0; first < channels; first += width) {
    const double sum = std::accumulate(&sums[first], &sums[first] + width, 0.0);
    std::fill(means + first, means + first + width, static_cast<float>(sum / count));
  }
}

void find_moments(const Parts& x, int64_t b, int64_t groups, std::vector<float>& sums, float* mean,
                  float* rstd) {
  for_each_part(x, b, [&](const float* image, Piece piece, int64_t first) {
    sum_places(image, piece, &sums[first]);
  });
  mean_of_groups(sums, places_of(x), groups, mean);
  // A second pass, for the difference of two large moments would lose digits.
  for_each_part(x, b, [&](const float* image, Piece piece, int64_t first) {
    sum_squares(image, mean + first, piece, &sums[first]);
  });
  mean_of_groups(sums, places_of(x), groups, rstd);
  for (size_t c = 0; c < sums.size(); ++c)
    rstd[c] = static_cast<float>(1 / std::sqrt(rstd[c] + kEps));
}

void normalise(const Parts& x, int64_t b, const Tensor& weight, const Tensor& bias,
               Activation activation, const float* mean, const float* rstd, float* y) {
  const auto channels = weight.size(1), row = b * channels;
  std::vector<float> slope(channels);
  for (int64_t c = 0; c < channels; ++c)
    slope[c] = weight.const_data_ptr<float>()[row + c] * rstd[c];
  const auto loop = activation == Activation::kSilu ? apply_silu : apply;
  for_each_part(x, b, [&](const float* image, Piece piece, int64_t first) {
    const float* offset = bias.const_data_ptr<float>() + row + first;
    loop(image, piece, {mean + first, &slope[first], offset}, channels, y + first);
  });
}

Tensor empty_whole(const Parts& x, int64_t channels) {
  return at::empty({x[0].size(0), channels, x[0].size(2), x[0].size(3)}, x[0].options(),
                   at::MemoryFormat::ChannelsLast);
}

}  // namespace

void group_norm_of_image(const Parts& x, int64_t b, int64_t groups, const Tensor& weight,
                         const Tensor& bias, Activation activation, const ImageNorm& to) {
  std::vector<float> sums(weight.size(1));
  find_moments(x, b, groups, sums, to.mean, to.rstd);
  normalise(x, b, weight, bias, activation, to.mean, to.rstd, to.y);
}

Normed group_norm(const Parts& x, int64_t groups, const Tensor& weight, const Tensor& bias,
                  Activation activation) {
  const auto channels = weight.size(1);
  Normed norm{empty_whole(x, channels), at::empty_like(weight), at::empty_like(weight)};
  at::parallel_for(0, weight.size(0), 1, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      group_norm_of_image(x, b, groups, weight, bias, activation,
                          {norm.y.mutable_data_ptr<float>() + b * norm.y.stride(0),
                           norm.mean.mutable_data_ptr<float>() + b * channels,
                           norm.rstd.mutable_data_ptr<float>() + b * channels});
    }
  });
  return norm;
}

Tensor group_norm_again(const Parts& x, const Tensor& weight, const Tensor& bias,
                        Activation activation, const Normed& norm) {
  const auto channels = weight.size(1);
  auto y = empty_whole(x, channels);
  at::parallel_for(0, weight.size(0), 1, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      normalise(x, b, weight, bias, activation, norm.mean.const_data_ptr<float>() + b * channels,
                norm.rstd.const_data_ptr<float>() + b * channels,
                y.mutable_data_ptr<float>() + b * y.stride(0));
    }
  });
  return y;
}

// With n = (x - mean) * rstd, z = n * weight + bias, dz the gradient by z, and E the mean over a
// group: dx = rstd * (weight * dz - E[weight * dz] - n * E[weight * dz * n]).
GroupNormGradient group_norm_gradient(const Tensor& dy, const Parts& x, int64_t groups,
                                      const Tensor& weight, const Tensor& bias,
                                      Activation activation, const Normed& norm) {
  const auto channels = weight.size(1);
  GroupNormGradient gradient{{}, at::empty_like(weight), at::empty_like(weight)};
  std::vector<float*> dx;
  for (const auto& part : x) {
    gradient.x.push_back(at::empty_like(part));
    dx.push_back(gradient.x.back().mutable_data_ptr<float>());
  }
  at::parallel_for(0, weight.size(0), 1, [&](int64_t begin, int64_t end) {
    std::vector<float> slope(channels), along(channels), offset(channels), sums(channels);
    for (int64_t b = begin; b < end; ++b) {
      const auto row = b * channels;
      const float* w = weight.const_data_ptr<float>() + row;
      const float* mean = norm.mean.const_data_ptr<float>() + row;
      const float* rstd = norm.rstd.const_data_ptr<float>() + row;
      float* dweight = gradient.weight.mutable_data_ptr<float>() + row;
      float* dbias = gradient.bias.mutable_data_ptr<float>() + row;
      for (int64_t c = 0; c < channels; ++c) slope[c] = w[c] * rstd[c];

      // dz goes where dx will be.
      const auto slope_of_activation = activation == Activation::kSilu ? apply_silu_slope : copy;
      size_t index = 0;
      for_each_part(x, b, [&](const float* image, Piece piece, int64_t first) {
        float* dz = dx[index++] + b * piece.places * piece.channels;
        const float* shift = bias.const_data_ptr<float>() + row + first;
        slope_of_activation(image_of(dy, b) + first, channels, image, piece,
                            {mean + first, &slope[first], shift}, dz);
        sum_gradients(dz, image, mean + first, piece, dbias + first, dweight + first);
      });
      for (int64_t c = 0; c < channels; ++c) {
        dweight[c] *= rstd[c];
        sums[c] = slope[c] * dbias[c];
      }
      mean_of_groups(sums, places_of(x), groups, offset.data());
      for (int64_t c = 0; c < channels; ++c) sums[c] = slope[c] * dweight[c] * rstd[c];
      mean_of_groups(sums, places_of(x), groups, along.data());
      index = 0;
      for_each_part(x, b, [&](const float* image, Piece piece, int64_t first) {
        apply_gradient(image, piece, mean + first, &slope[first], &along[first], &offset[first],
                       dx[index++] + b * piece.places * piece.channels);
      });
    }
  });
  return gradient;
}

}  // namespace bitdiff::kernels::cpu
