#include "bitdiff/kernels/layer_norm_cuda.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include "bitdiff/cuda/library.h"

namespace bitdiff::kernels::gpu {
namespace {

cuda::SequenceShape shape_of(const Tensor& x) {
  return {
      .type = cuda::type_of(x), .sequences = x.size(0), .length = x.size(1), .width = x.size(2)};
}

}  // namespace

bool fits_layer_norm(const Tensor& x) { return cuda::takes_type_of(x) && x.is_contiguous(); }

Normed layer_norm(const cuda::Kernels& kernels, const Tensor& x, const Tensor& weight,
                  const Tensor& bias) {
  const auto positions = x.sizes().slice(0, 2);
  Normed norm{at::empty_like(x), at::empty(positions, weight.options()),
              at::empty(positions, weight.options())};
  const cuda::OnDeviceOf on(x);
  cuda::check(kernels.layer_norm({.shape = shape_of(x),
                                  .x = x.const_data_ptr(),
                                  .weight = weight.const_data_ptr<float>(),
                                  .bias = bias.const_data_ptr<float>(),
                                  .y = norm.y.mutable_data_ptr(),
                                  .mean = norm.mean.mutable_data_ptr<float>(),
                                  .rstd = norm.rstd.mutable_data_ptr<float>()},
                                 on.place()));
  return norm;
}

LayerNormGradient layer_norm_gradient(const cuda::Kernels& kernels, const Tensor& dy,
                                      const Tensor& x, const Tensor& weight, const Normed& norm) {
  LayerNormGradient gradient{at::empty_like(x), at::empty_like(weight), at::empty_like(weight)};
  const cuda::OnDeviceOf on(x);
  cuda::check(kernels.layer_norm_gradient({.shape = shape_of(x),
                                           .x = x.const_data_ptr(),
                                           .weight = weight.const_data_ptr<float>(),
                                           .mean = norm.mean.const_data_ptr<float>(),
                                           .rstd = norm.rstd.const_data_ptr<float>(),
                                           .dy = dy.const_data_ptr(),
                                           .dx = gradient.x.mutable_data_ptr(),
                                           .dweight = gradient.weight.mutable_data_ptr<float>(),
                                           .dbias = gradient.bias.mutable_data_ptr<float>()},
                                          on.place()));
  return gradient;
}

}  // namespace bitdiff::kernels::gpu
