#include "bitdiff/kernels/group_norm_cuda.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include "bitdiff/cuda/library.h"

namespace bitdiff::kernels::gpu {
namespace {

int64_t channels_of(const Parts& x) {
  int64_t channels = 0;
  for (const auto& part : x) channels += part.size(1);
  return channels;
}

cuda::ImageShape shape_of(const Parts& x, int64_t groups) {
  return {.type = cuda::type_of(x[0]),
          .images = x[0].size(0),
          .places = x[0].size(2) * x[0].size(3),
          .channels = {x[0].size(1), x.size() == 2 ? x[1].size(1) : 0},
          .groups = groups};
}

const void* part_of(const Parts& x, size_t i) {
  return i < x.size() ? x[i].const_data_ptr() : nullptr;
}

}  // namespace

bool fits_group_norm(const Parts& x, int64_t groups) {
  if (x.empty() || x.size() > 2 || channels_of(x) > cuda::kMostChannels * groups) return false;
  for (const auto& part : x) {
    if (!cuda::takes_type_of(part) || part.scalar_type() != x[0].scalar_type() ||
        !part.is_contiguous(at::MemoryFormat::ChannelsLast))
      return false;
  }
  return true;
}

Normed group_norm(const cuda::Kernels& kernels, const Parts& x, int64_t groups,
                  const Tensor& weight, const Tensor& bias, Activation activation) {
  const auto images = x[0].size(0);
  Normed norm{at::empty({images, channels_of(x), x[0].size(2), x[0].size(3)}, x[0].options(),
                        at::MemoryFormat::ChannelsLast),
              at::empty({images, groups}, weight.options()),
              at::empty({images, groups}, weight.options())};
  const cuda::OnDeviceOf on(x[0]);
  cuda::check(kernels.group_norm({.shape = shape_of(x, groups),
                                  .silu = activation == Activation::kSilu,
                                  .x = {part_of(x, 0), part_of(x, 1)},
                                  .weight = weight.const_data_ptr<float>(),
                                  .bias = bias.const_data_ptr<float>(),
                                  .y = norm.y.mutable_data_ptr(),
                                  .mean = norm.mean.mutable_data_ptr<float>(),
                                  .rstd = norm.rstd.mutable_data_ptr<float>()},
                                 on.place()));
  return norm;
}

GroupNormGradient group_norm_gradient(const cuda::Kernels& kernels, const Tensor& dy,
                                      const Parts& x, int64_t groups, const Tensor& weight,
                                      const Tensor& bias, Activation activation,
                                      const Normed& norm) {
  GroupNormGradient gradient{{}, at::empty_like(weight), at::empty_like(bias)};
  for (const auto& part : x) gradient.x.push_back(at::empty_like(part));
  const auto to = [&](size_t i) {
    return i < x.size() ? gradient.x[i].mutable_data_ptr() : nullptr;
  };
  const cuda::OnDeviceOf on(x[0]);
  cuda::check(kernels.group_norm_gradient({.shape = shape_of(x, groups),
                                           .silu = activation == Activation::kSilu,
                                           .x = {part_of(x, 0), part_of(x, 1)},
                                           .weight = weight.const_data_ptr<float>(),
                                           .bias = bias.const_data_ptr<float>(),
                                           .mean = norm.mean.const_data_ptr<float>(),
                                           .rstd = norm.rstd.const_data_ptr<float>(),
                                           .dy = dy.const_data_ptr(),
                                           .dx = {to(0), to(1)},
                                           .dweight = gradient.weight.mutable_data_ptr<float>(),
                                           .dbias = gradient.bias.mutable_data_ptr<float>()},
                                          on.place()));
  return gradient;
}

}  // namespace bitdiff::kernels::gpu
