#include "bitdiff/kernels/int8_conv_cpu.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include <ATen/Parallel.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
// GCC 12 takes the registers of anything in its own header for mistakes (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#include "bitdiff/kernels/blocks.h"
#include "bitdiff/kernels/group_norm_cpu.h"
#include "bitdiff/kernels/matrix_product.h"
#include "bitdiff/kernels/takes_vectors.h"

namespace bitdiff::kernels::cpu {
namespace {

// Pixels whose sums of a panel fit the registers: 6 x 4 vectors leave eight for what is multiplied.
constexpr int64_t kPixels = 6;
// Inputs whose products one instruction adds up.
constexpr int64_t kGroup = 4;
// Pixels that a thread takes through all panels of the weight at a time.
constexpr int64_t kBlock = 32 * kPixels;

// Inputs of an output whose products cannot leave 32 bits.
constexpr int64_t kMostInputs = std::numeric_limits<int32_t>::max() / (255 * 127);

// Whether an image holds NaN, and the range that holds its numbers and 0.
struct Range {
  float low = 0, high = 0;
  bool nan = false;
};

// What one sum in registers covers: kPixels pixels, of each of which `places` inputs of `depth`
// bytes, `offset` bytes from its first.
struct Sum {
  const uint8_t* pixel[kPixels] = {};
  const int64_t* offset;
  int64_t places, depth;
  const int8_t* weight = nullptr;
};

// What turns the sums of a pixel into floats.
struct Finish {
  int32_t zero = 0;
  float unit = 1;  // Of the image.
  const int32_t* sum;
  const float *unit_of_output, *bias;
  const float* residual = nullptr;  // May be missing.
  float factor;
};

#if defined(__x86_64__) && defined(__GNUC__)
// An attribute, which no function can stand for.
#define BITDIFF_VNNI [[gnu::target("avx512f,avx512bw,avx512vnni")]]

bool has_vnni() {
  return has_avx512() && __builtin_cpu_supports("avx512bw") != 0 &&
         __builtin_cpu_supports("avx512vnni") != 0;
}

BITDIFF_VNNI void widen(const float* x, int64_t count, Range& range) {
  __m512 low = _mm512_set1_ps(range.low), high = _mm512_set1_ps(range.high);
  __mmask16 nan = 0;
  for (int64_t i = 0; i < count; i += kLanes) {
    const __m512 v = _mm512_loadu_ps(x + i);
    low = _mm512_min_ps(low, v);
    high = _mm512_max_ps(high, v);
    nan |= _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
  }
  range = {_mm512_reduce_min_ps(low), _mm512_reduce_max_ps(high), range.nan || nan != 0};
}

BITDIFF_VNNI void quantize(const float* x, int64_t count, float per_unit, int32_t zero,
                           uint8_t* to) {
  const __m512 factor = _mm512_set1_ps(per_unit);
  const __m512i shift = _mm512_set1_epi32(zero), none = _mm512_setzero_si512();
  for (int64_t i = 0; i < count; i += kLanes) {
    const __m512i q = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(x + i), factor));
    const __m512i shifted = _mm512_max_epi32(_mm512_add_epi32(q, shift), none);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + i), _mm512_cvtusepi32_epi8(shifted));
  }
}

// sums[pixel, output], rows of kPanel, of 16 kVectors outputs.
template <int kVectors>
BITDIFF_VNNI void multiply_block(const Sum& s, int32_t* sums) {
  __m512i sum[kPixels][kVectors];
#pragma GCC unroll 6
  for (auto& row : sum) {
#pragma GCC unroll 4
    for (auto& v : row) v = _mm512_setzero_si512();
  }
  const int8_t* weight = s.weight;
  for (int64_t place = 0; place < s.places; ++place) {
    const int64_t end = s.offset[place] + s.depth;
    for (int64_t k = s.offset[place]; k < end; k += kGroup) {
      __m512i row[kVectors];
#pragma GCC unroll 4
      for (auto& v : row) {
        v = _mm512_loadu_si512(weight);
        weight += sizeof(v);
      }
#pragma GCC unroll 6
      for (int i = 0; i < kPixels; ++i) {
        int32_t four = 0;
        std::memcpy(&four, s.pixel[i] + k, sizeof(four));
        const __m512i inputs = _mm512_set1_epi32(four);
#pragma GCC unroll 4
        for (int j = 0; j < kVectors; ++j)
          sum[i][j] = _mm512_dpbusd_epi32(sum[i][j], inputs, row[j]);
      }
    }
  }
#pragma GCC unroll 6
  for (int i = 0; i < kPixels; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j)
      _mm512_storeu_si512(sums + i * kPanel + j * kLanes, sum[i][j]);
  }
}

BITDIFF_VNNI void finish(const int32_t* sums, int64_t outputs, const Finish& f, float* y) {
  const __m512i zero = _mm512_set1_epi32(f.zero);
  const __m512 unit = _mm512_set1_ps(f.unit), factor = _mm512_set1_ps(f.factor);
  for (int64_t n = 0; n < outputs; n += kLanes) {
    const __m512i of_zero = _mm512_mullo_epi32(zero, _mm512_loadu_si512(f.sum + n));
    const __m512i whole = _mm512_sub_epi32(_mm512_loadu_si512(sums + n), of_zero);
    const __m512 scale = _mm512_mul_ps(unit, _mm512_loadu_ps(f.unit_of_output + n));
    __m512 v = _mm512_fmadd_ps(_mm512_cvtepi32_ps(whole), scale, _mm512_loadu_ps(f.bias + n));
    if (f.residual) v = _mm512_mul_ps(_mm512_add_ps(v, _mm512_loadu_ps(f.residual + n)), factor);
    _mm512_storeu_ps(y + n, v);
  }
}
#else
// Nobody calls these: fits_int8_conv says no.
bool has_vnni() { return false; }
void widen(const float*, int64_t, Range&) {}
void quantize(const float*, int64_t, float, int32_t, uint8_t*) {}
template <int kVectors>
void multiply_block(const Sum&, int32_t*) {}
void finish(const int32_t*, int64_t, const Finish&, float*) {}
#endif

void multiply(const Sum& s, int64_t outputs, int32_t* sums) {
  switch (outputs / kLanes) {
    case 4:
      return multiply_block<4>(s, sums);
    case 3:
      return multiply_block<3>(s, sums);
    case 2:
      return multiply_block<2>(s, sums);
    default:
      return multiply_block<1>(s, sums);
  }
}

// Images in 8 bits, with a margin around them that says zero.
class Quantized {
 public:
  Quantized(const Tensor& like, int64_t channels, int64_t margin)
      : batch_(like.size(0)),
        height_(like.size(2)),
        width_(like.size(3)),
        channels_(channels),
        margin_(margin),
        q_(at::empty({batch_ * (height_ + 2 * margin) * (width_ + 2 * margin) * channels},
                     at::kByte)),
        first_(q_.mutable_data_ptr<uint8_t>()),
        unit_(batch_),
        zero_(batch_) {}

  int64_t batch() const { return batch_; }
  int64_t height() const { return height_; }
  int64_t width() const { return width_; }
  int64_t places() const { return height_ * width_; }
  int64_t pixels() const { return batch_ * places(); }
  int64_t channels() const { return channels_; }
  int64_t row() const { return (width_ + 2 * margin_) * channels_; }  // Bytes.
  float unit(int64_t b) const { return unit_[b]; }
  int32_t zero(int64_t b) const { return zero_[b]; }

  // Where the inputs around a pixel begin, and the pixel's image.
  struct Pixel {
    const uint8_t* around;
    int64_t image;
  };
  // Of `count` pixels of the batch from number `first` on.
  std::vector<Pixel> pixels_from(int64_t first, int64_t count) const {
    std::vector<Pixel> pixels;
    pixels.reserve(count);
    int64_t b = first / places(), i = first % places() / width_, j = first % width_;
    for (; count > 0; --count) {
      pixels.push_back({first_ + b * image_bytes() + i * row() + j * channels_, b});
      if (++j < width_) continue;
      j = 0;
      if (++i < height_) continue;
      i = 0;
      ++b;
    }
    return pixels;
  }

  // Fills in image `b`, whose channels come in parts [H, W, channels of the part].
  struct Part {
    const float* x;
    int64_t channels;
  };
  void set(int64_t b, const std::vector<Part>& parts) {
    Range range;
    for (const auto& part : parts) widen(part.x, places() * part.channels, range);
    const float span = (range.high - range.low) * (1 / 255.0F);
    const float unit = span == 0 ? 1 : span, per_unit = 1 / unit;
    const bool fine = !range.nan && std::isfinite(unit);
    unit_[b] = fine ? unit : std::numeric_limits<float>::quiet_NaN();
    zero_[b] = fine ? static_cast<int32_t>(std::nearbyint(-range.low * per_unit)) : 0;
    auto* image = first_ + b * image_bytes();
    if (margin_ > 0) std::memset(image, zero_[b], image_bytes());
    for (int64_t i = 0; i < height_; ++i) {
      uint8_t* to = image + (i + margin_) * row() + margin_ * channels_;
      if (parts.size() == 1) {
        quantize(parts[0].x + i * width_ * channels_, width_ * channels_, per_unit, zero_[b], to);
        continue;
      }
      for (int64_t place = i * width_; place < (i + 1) * width_; ++place) {
        for (const auto& part : parts) {
          quantize(part.x + place * part.channels, part.channels, per_unit, zero_[b], to);
          to += part.channels;
        }
      }
    }
  }

 private:
  int64_t image_bytes() const { return (height_ + 2 * margin_) * row(); }

  int64_t batch_, height_, width_, channels_, margin_;
  Tensor q_;
  uint8_t* first_;
  std::vector<float> unit_;
  std::vector<int32_t> zero_;
};

Tensor convolve(const Quantized& x, const Int8Weight& weight, const Tensor& bias,
                const std::optional<Residual>& residual) {
  const int64_t outputs = weight.q.size(0), side = weight.q.size(2);
  auto y = at::empty({x.batch(), outputs, x.height(), x.width()}, bias.options(),
                     at::MemoryFormat::ChannelsLast);
  std::vector<int64_t> offset;
  for (int64_t i = 0; i < side; ++i)
    for (int64_t j = 0; j < side; ++j) offset.push_back(i * x.row() + j * x.channels());
  const auto places = static_cast<int64_t>(offset.size());
  const auto* packed = weight.packed.const_data_ptr<int8_t>();
  const auto* sum = weight.sum.const_data_ptr<int32_t>();
  const auto* unit = weight.unit.const_data_ptr<float>();
  const auto* bias_data = bias.const_data_ptr<float>();
  const float* more = residual ? residual->x.const_data_ptr<float>() : nullptr;
  float* to = y.mutable_data_ptr<float>();

  for_each_block(x.pixels(), kBlock, [&](int64_t first, int64_t count) {
    int32_t sums[kPixels * kPanel];
    const auto pixels = x.pixels_from(first, count);
    Sum s{.offset = offset.data(), .places = places, .depth = x.channels()};
    for (int64_t panel = 0; panel < outputs; panel += kPanel) {
      const int64_t columns = panel_columns(outputs, panel);
      s.weight = packed + panel * places * x.channels();
      Finish f{.sum = sum + panel,
               .unit_of_output = unit + panel,
               .bias = bias_data + panel,
               .factor = static_cast<float>(residual ? residual->factor : 1)};
      for (int64_t p = 0; p < count; p += kPixels) {
        const int64_t here = std::min(kPixels, count - p);
        // Where there are fewer, the last is computed more than once.
        for (int64_t i = 0; i < kPixels; ++i) s.pixel[i] = pixels[p + std::min(i, here - 1)].around;
        multiply(s, columns, sums);
        for (int64_t i = 0; i < here; ++i) {
          const int64_t b = pixels[p + i].image, at = (first + p + i) * outputs + panel;
          f.zero = x.zero(b);
          f.unit = x.unit(b);
          f.residual = more ? more + at : nullptr;
          finish(sums + i * kPanel, columns, f, to + at);
        }
      }
    }
  });
  return y;
}

}  // namespace

bool fits_int8_conv(const Tensor& x) {
  static const bool there = has_vnni();
  return there && takes_vectors(x) && x.dim() == 4 &&
         x.is_contiguous(at::MemoryFormat::ChannelsLast) && x.size(1) % kLanes == 0;
}

bool fits_int8_weight(const Tensor& weight) {
  return fits_int8_conv(weight) && weight.size(0) % kLanes == 0 && weight[0].numel() <= kMostInputs;
}

Tensor pack_int8(const Tensor& q) {
  std::vector<Tensor> panels;
  for (const auto& panel : q.split(kPanel)) {
    const int64_t outputs = panel.size(0), groups = panel.size(1) / kGroup;
    // [outputs, K / 4, 4, places] -> [places, K / 4, outputs, 4].
    panels.push_back(
        panel.reshape({outputs, groups, kGroup, -1}).permute({3, 1, 0, 2}).reshape(-1));
  }
  return at::cat(panels);
}

Tensor int8_conv(const std::vector<Tensor>& x, const Int8Weight& weight, const Tensor& bias) {
  Quantized q(x[0], weight.q.size(1), weight.q.size(2) / 2);
  at::parallel_for(0, q.batch(), 1, [&](int64_t begin, int64_t end) {
    std::vector<Quantized::Part> parts(x.size());
    for (int64_t b = begin; b < end; ++b) {
      for (size_t i = 0; i < x.size(); ++i)
        parts[i] = {x[i].const_data_ptr<float>() + b * q.places() * x[i].size(1), x[i].size(1)};
      q.set(b, parts);
    }
  });
  return convolve(q, weight, bias, {});
}

Tensor int8_silu_conv(const std::vector<Tensor>& x, const Norm& norm, const Int8Weight& weight,
                      const Tensor& bias, const std::optional<Residual>& residual) {
  const auto norm_weight = norm.weight.contiguous(), norm_bias = norm.bias.contiguous();
  const int64_t channels = weight.q.size(1);
  Quantized q(x[0], channels, weight.q.size(2) / 2);
  at::parallel_for(0, q.batch(), 1, [&](int64_t begin, int64_t end) {
    std::vector<float> mean(channels), rstd(channels);
    const auto room = at::empty({q.places() * channels}, at::kFloat);
    auto* y = room.mutable_data_ptr<float>();
    for (int64_t b = begin; b < end; ++b) {
      group_norm_of_image(x, b, norm.groups, norm_weight, norm_bias, Activation::kSilu,
                          {y, mean.data(), rstd.data()});
      q.set(b, {{y, channels}});
    }
  });
  return convolve(q, weight, bias, residual);
}

}  // namespace bitdiff::kernels::cpu
