#include "bitdiff/kernels/conv3x3_cpu.h"

#include <algorithm>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include "bitdiff/kernels/bf16_conv3x3_cpu.h"
#include "bitdiff/kernels/blocks.h"
#include "bitdiff/kernels/matrix_product.h"
#include "bitdiff/kernels/takes_vectors.h"
#include "bitdiff/kernels/vectors.h"
#include "bitdiff/kernels/winograd.h"

namespace bitdiff::kernels::cpu {
namespace {

using winograd::kIn;
using winograd::kOut;
using winograd::kPoints;

// Powers of two between the planes of a transformed tensor would all fall on the same cache lines.
constexpr int64_t kStagger = 16;
// Of the transformed inputs and outputs of a block, in floats, so that they stay in a core's cache.
constexpr int64_t kBlockFloats = (768 << 10) / sizeof(float);
// Of the transformed tensors of a weight gradient, in floats, so that they stay in the shared
// cache.
constexpr int64_t kChunkFloats = (8 << 20) / sizeof(float);

Tensor floats(int64_t count) { return at::empty({count}, at::kFloat); }

// The tiles of a batch of images, in order.
struct Tiling {
  int64_t batch, height, width;

  explicit Tiling(const Tensor& x) : batch(x.size(0)), height(x.size(2)), width(x.size(3)) {}

  int64_t down() const { return divide_up(height, kOut); }
  int64_t across() const { return divide_up(width, kOut); }
  int64_t count() const { return batch * down() * across(); }

  // Points `at` to the pixels of `side` x `side` around or in a tile of [B, H, W, channels], and to
  // `outside` where there is no pixel.
  template <class Float>
  void point(Float* image, int64_t channels, int64_t tile, int64_t side, Float* outside,
             Float** at) const {
    const int64_t row = tile / across(), b = row / down();
    const int64_t margin = (side - kOut) / 2;
    const int64_t top = row % down() * kOut - margin, left = tile % across() * kOut - margin;
    for (int64_t i = top; i < top + side; ++i) {
      for (int64_t j = left; j < left + side; ++j) {
        const bool inside = i >= 0 && i < height && j >= 0 && j < width;
        *at++ = inside ? image + ((b * height + i) * width + j) * channels : outside;
      }
    }
  }
};

// A convolution's weights [N, K, 3, 3], transformed: for each of the 36 points a matrix [K, N] in
// panels, see matrix_product.h.
struct Kernel {
  Kernel(int64_t in, int64_t out)
      : inputs(in), outputs(out), plane(in * out + kStagger), u(floats(kPoints * plane)) {}

  const float* data() const { return u.const_data_ptr<float>(); }
  float* row(int64_t input, int64_t panel) {
    return u.mutable_data_ptr<float>() + panel * inputs + input * columns(panel);
  }
  int64_t columns(int64_t panel) const { return panel_columns(outputs, panel); }

  int64_t inputs, outputs, plane;
  Tensor u;
};

Kernel transform(const Tensor& weight) {
  const int64_t outputs = weight.size(0), inputs = weight.size(1);
  Kernel kernel(inputs, outputs);
  const float* from = weight.const_data_ptr<float>();
  at::parallel_for(0, inputs / kLanes, 1, [&](int64_t begin, int64_t end) {
    // Memory is [N, 3, 3, K], the panels want [K, N].
    std::vector<float> turned(9 * kLanes * outputs);
    for (int64_t first = begin * kLanes; first < end * kLanes; first += kLanes) {
      for (int64_t place = 0; place < 9; ++place)
        transpose(from + place * inputs + first, 9 * inputs, outputs, kLanes,
                  &turned[place * kLanes * outputs], outputs);
      for (int64_t k = 0; k < kLanes; ++k)
        for (int64_t n = 0; n < outputs; n += kPanel)
          winograd::transform_kernel(&turned[k * outputs + n], kLanes * outputs, kernel.columns(n),
                                     kernel.row(first + k, n), kernel.plane);
    }
  });
  return kernel;
}

// The kernel that takes dy to dx: turned by half a turn, inputs and outputs exchanged.
Kernel transform_for_gradient(const Tensor& weight) {
  const int64_t inputs = weight.size(0), outputs = weight.size(1);
  Kernel kernel(inputs, outputs);
  const float* from = weight.const_data_ptr<float>();
  at::parallel_for(0, inputs, 8, [&](int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; ++k)
      for (int64_t n = 0; n < outputs; n += kPanel)
        winograd::transform_kernel(from + (k * 9 + 8) * outputs + n, -outputs, kernel.columns(n),
                                   kernel.row(k, n), kernel.plane);
  });
  return kernel;
}

Tensor convolve(const Tensor& x, const Kernel& kernel, const Tensor& bias,
                const std::optional<Residual>& residual) {
  const Tiling tiling(x);
  const int64_t inputs = kernel.inputs, outputs = kernel.outputs, tiles = tiling.count();
  auto y = at::empty({x.size(0), outputs, x.size(2), x.size(3)}, x.options(),
                     at::MemoryFormat::ChannelsLast);
  // Tiles that a thread takes through all three phases at a time.
  const int64_t block = std::clamp<int64_t>(kBlockFloats / (kPoints * (inputs + outputs)), 24, 96);
  const int64_t v_plane = block * inputs + kStagger, m_plane = block * outputs + kStagger;
  const int64_t workspace = kPoints * (v_plane + m_plane) + outputs;
  const auto room = floats(at::get_num_threads() * workspace);
  const std::vector<float> zeros(std::max(inputs, outputs));
  const float* more = residual ? residual->x.const_data_ptr<float>() : nullptr;
  const auto factor = static_cast<float>(residual ? residual->factor : 1);
  const float* from = x.const_data_ptr<float>();
  float* to = y.mutable_data_ptr<float>();

  for_each_block(tiles, block, [&](int64_t first, int64_t count) {
    float* v = room.mutable_data_ptr<float>() + at::get_thread_num() * workspace;
    float* m = v + kPoints * v_plane;
    float* nowhere = m + kPoints * m_plane;
    const float* in[kPoints];
    float* out[kOut * kOut];
    for (int64_t t = 0; t < count; ++t) {
      tiling.point(from, inputs, first + t, kIn, zeros.data(), in);
      winograd::transform_input(in, inputs, v + t * inputs, v_plane);
    }
    for (int64_t point = 0; point < kPoints; ++point) {
      multiply_packed({.a = v + point * v_plane,
                       .a_row = inputs,
                       .b = kernel.data() + point * kernel.plane,
                       .b_row = 0,
                       .c = m + point * m_plane,
                       .c_row = outputs,
                       .rows = count,
                       .columns = outputs,
                       .depth = inputs});
    }
    for (int64_t t = 0; t < count; ++t) {
      tiling.point(to, outputs, first + t, kOut, nowhere, out);
      if (more) tiling.point(more, outputs, first + t, kOut, zeros.data(), in);
      winograd::transform_output(m + t * outputs, m_plane, outputs, bias.const_data_ptr<float>(),
                                 more ? in : nullptr, factor, out);
    }
  });
  return y;
}

}  // namespace

bool fits_conv3x3(const Tensor& x) {
  return takes_vectors(x) && x.dim() == 4 && x.is_contiguous(at::MemoryFormat::ChannelsLast) &&
         x.size(1) % kLanes == 0;
}

bool fits_conv3x3_weight(const Tensor& weight) {
  return fits_conv3x3(weight) && weight.size(0) % kLanes == 0;
}

Tensor conv3x3(const Tensor& x, const Tensor& weight, const Tensor& bias,
               const std::optional<Residual>& residual, Products products) {
  if (products == Products::kBfloat16) return bf16::conv3x3(x, weight, bias, residual);
  return convolve(x, transform(weight), bias, residual);
}

Tensor conv3x3_input_gradient(const Tensor& dy, const Tensor& weight, Products products) {
  if (products == Products::kBfloat16) return bf16::conv3x3_input_gradient(dy, weight);
  const auto kernel = transform_for_gradient(weight);
  return convolve(dy, kernel, at::zeros({kernel.outputs}, at::kFloat), {});
}

// The adjoint of the forward pass, tile by tile: dm = A dy A^T and du = sum over tiles of dm v, in
// chunks of tiles whose dm and v stay in cache.
Tensor conv3x3_weight_gradient(const Tensor& dy, const Tensor& x, Products products) {
  if (products == Products::kBfloat16) return bf16::conv3x3_weight_gradient(dy, x);
  const Tiling tiling(x);
  const int64_t inputs = x.size(1), outputs = dy.size(1), tiles = tiling.count();
  const int64_t chunk = std::clamp<int64_t>(kChunkFloats / (kPoints * (inputs + outputs)), 48,
                                            std::max<int64_t>(tiles, 48));
  const int64_t v_row = inputs + kStagger, dm_row = outputs + kStagger;
  const int64_t v_plane = chunk * v_row + kStagger, dm_plane = chunk * dm_row + kStagger;
  const int64_t du_plane = outputs * inputs + kStagger;
  const auto v = floats(kPoints * v_plane), dm = floats(kPoints * dm_plane);
  const auto du = floats(kPoints * du_plane);
  float* v_data = v.mutable_data_ptr<float>();
  float* dm_data = dm.mutable_data_ptr<float>();
  float* du_data = du.mutable_data_ptr<float>();
  const std::vector<float> zeros(std::max(inputs, outputs));
  auto dw = at::empty({outputs, inputs, 3, 3}, x.options(), at::MemoryFormat::ChannelsLast);
  if (tiles == 0) return dw.zero_();

  for (int64_t first = 0; first < tiles; first += chunk) {
    const int64_t count = std::min(chunk, tiles - first);
    at::parallel_for(0, count, 8, [&](int64_t begin, int64_t end) {
      const float* at[kPoints];
      for (int64_t t = begin; t < end; ++t) {
        tiling.point(x.const_data_ptr<float>(), inputs, first + t, kIn, zeros.data(), at);
        winograd::transform_input(at, inputs, v_data + t * v_row, v_plane);
        tiling.point(dy.const_data_ptr<float>(), outputs, first + t, kOut, zeros.data(), at);
        winograd::transform_output_gradient(at, outputs, dm_data + t * dm_row, dm_plane);
      }
    });
    const int64_t panels = divide_up(inputs, kPanel);
    at::parallel_for(0, kPoints * panels, 1, [&](int64_t begin, int64_t end) {
      for (int64_t job = begin; job < end; ++job) {
        const int64_t point = job / panels, column = job % panels * kPanel;
        multiply_transposed({.a = dm_data + point * dm_plane,
                             .a_row = dm_row,
                             .b = v_data + point * v_plane + column,
                             .b_row = v_row,
                             .c = du_data + point * du_plane + column,
                             .c_row = inputs,
                             .rows = outputs,
                             .columns = std::min(kPanel, inputs - column),
                             .depth = count,
                             .add = first > 0});
      }
    });
  }
  float* to = dw.mutable_data_ptr<float>();
  at::parallel_for(0, outputs, 8, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n)
      winograd::transform_kernel_gradient(du_data + n * inputs, du_plane, inputs,
                                          to + n * 9 * inputs, inputs);
  });
  return dw;
}

}  // namespace bitdiff::kernels::cpu
