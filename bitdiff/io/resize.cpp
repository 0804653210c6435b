#include "bitdiff/io/resize.h"

#include <algorithm>
#include <cmath>

#include <ATen/ops/empty.h>

namespace bitdiff {
namespace {

constexpr int kPrecision = 32 - 8 - 2;  // Bits behind the point of Pillow's weights.

double support_of(Filter filter) {
  switch (filter) {
    case Filter::kArea:
      return 0.5;
    case Filter::kBilinear:
      return 1;
    default:
      return 2;
  }
}

double weight_at(Filter filter, double x) {
  if (filter == Filter::kArea) return x > -0.5 && x <= 0.5 ? 1 : 0;
  x = std::abs(x);
  if (filter == Filter::kBilinear) return x < 1 ? 1 - x : 0;
  constexpr double kA = -0.5;
  if (x < 1) return ((kA + 2) * x - (kA + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * kA;
  return 0;
}

// What one new pixel is made of: old pixels begin, begin + 1, ... by weight.
struct Taps {
  int64_t begin = 0;
  std::vector<int32_t> weights;
};

std::vector<Taps> taps_of(int64_t from, int64_t to, Filter filter) {
  const double scale = static_cast<double>(from) / static_cast<double>(to);
  const double stretch = std::max(scale, 1.0);
  const double support = support_of(filter) * stretch;
  const double shrink = 1 / stretch;  // Multiplied, as Pillow does: dividing rounds otherwise.
  std::vector<Taps> taps(to);
  for (int64_t i = 0; i < to; ++i) {
    const double center = (static_cast<double>(i) + 0.5) * scale;
    const auto begin =
        std::max<int64_t>(static_cast<int64_t>(std::floor(center - support + 0.5)), 0);
    const auto end =
        std::min<int64_t>(static_cast<int64_t>(std::floor(center + support + 0.5)), from);
    std::vector<double> weights;
    double sum = 0;
    for (int64_t x = begin; x < end; ++x) {
      weights.push_back(weight_at(filter, (static_cast<double>(x) - center + 0.5) * shrink));
      sum += weights.back();
    }
    taps[i].begin = begin;
    for (double weight : weights) {
      if (sum != 0) weight /= sum;
      taps[i].weights.push_back(static_cast<int32_t>(std::lround(weight * (1 << kPrecision))));
    }
  }
  return taps;
}

uint8_t rounded(int32_t sum) { return static_cast<uint8_t>(std::clamp(sum >> kPrecision, 0, 255)); }

// Resizes axis 2 of [planes, height, width].
Tensor resize_rows(const Tensor& image, int64_t width, Filter filter) {
  const auto taps = taps_of(image.size(2), width, filter);
  auto out = at::empty({image.size(0), image.size(1), width}, at::kByte);
  const auto* from = image.const_data_ptr<uint8_t>();
  auto* to = out.mutable_data_ptr<uint8_t>();
  for (int64_t row = 0; row < image.size(0) * image.size(1); ++row, from += image.size(2)) {
    for (const auto& [begin, weights] : taps) {
      int32_t sum = 1 << (kPrecision - 1);
      for (size_t k = 0; k < weights.size(); ++k) sum += from[begin + k] * weights[k];
      *to++ = rounded(sum);
    }
  }
  return out;
}

// Resizes axis 1 of [planes, height, width].
Tensor resize_columns(const Tensor& image, int64_t height, Filter filter) {
  const auto taps = taps_of(image.size(1), height, filter);
  const int64_t width = image.size(2);
  auto out = at::empty({image.size(0), height, width}, at::kByte);
  auto* to = out.mutable_data_ptr<uint8_t>();
  std::vector<int32_t> sums(width);
  for (int64_t plane = 0; plane < image.size(0); ++plane) {
    const auto* from = image.const_data_ptr<uint8_t>() + plane * image.size(1) * width;
    for (const auto& [begin, weights] : taps) {
      std::fill(sums.begin(), sums.end(), 1 << (kPrecision - 1));
      for (size_t k = 0; k < weights.size(); ++k) {
        const auto* row = from + (begin + static_cast<int64_t>(k)) * width;
        for (int64_t x = 0; x < width; ++x) sums[x] += row[x] * weights[k];
      }
      for (const int32_t sum : sums) *to++ = rounded(sum);
    }
  }
  return out;
}

}  // namespace

Tensor resize(const Tensor& image, ImageSize size, Filter filter) {
  TORCH_CHECK(image.scalar_type() == at::kByte && image.dim() == 3 && image.numel() > 0 &&
                  size.height > 0 && size.width > 0,
              "expected a uint8 [C, H, W] image and sizes above 0, got ", image.scalar_type(), " ",
              image.sizes(), " to ", size.height, " x ", size.width);
  auto result = image.contiguous();
  const int64_t fewer_rows = result.size(1) - size.height;
  const int64_t fewer_columns = result.size(2) - size.width;
  const bool columns_first = fewer_rows > 0 && fewer_rows > 2 * fewer_columns;
  if (columns_first) result = resize_columns(result, size.height, filter);
  if (size.width != result.size(2)) result = resize_rows(result, size.width, filter);
  if (size.height != result.size(1)) result = resize_columns(result, size.height, filter);
  return result;
}

Tensor resize_and_crop(const Tensor& image, int64_t side, Filter filter) {
  const int64_t height = image.size(1), width = image.size(2);
  const double scale = static_cast<double>(side) / static_cast<double>(std::min(height, width));
  const auto scaled = [&](int64_t length) {
    return std::max<int64_t>(side, std::llround(static_cast<double>(length) * scale));
  };
  const auto resized = resize(image, {scaled(height), scaled(width)}, filter);
  return resized.narrow(1, (resized.size(1) - side) / 2, side)
      .narrow(2, (resized.size(2) - side) / 2, side)
      .contiguous();
}

}  // namespace bitdiff
