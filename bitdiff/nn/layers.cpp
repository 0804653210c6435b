#include "bitdiff/nn/layers.h"

#include <numbers>

#include <ATen/TensorOperators.h>
#include <ATen/ops/add.h>
#include <ATen/ops/addcmul.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/silu.h>

#include "bitdiff/base/error.h"
#include "bitdiff/kernels/group_norm.h"

namespace bitdiff {

Linear::Linear(int64_t in, int64_t out, const Scope& scope, double init_scale)
    : weight(scope.add("weight", {out, in}, init_scale)),
      bias(scope.add_filled("bias", {out}, 0)) {}

Tensor Linear::operator()(const Tensor& x) const { return at::linear(x, weight, bias); }

Conv2d::Conv2d(int64_t in, int64_t out, const Scope& scope, Options options)
    : weight(scope.add("weight", {out, in, options.kernel, options.kernel}, options.init_scale)),
      bias(scope.add_filled("bias", {out}, 0)),
      stride(options.stride),
      padding(options.kernel / 2) {}

Tensor Conv2d::operator()(const Tensor& x) const {
  if (stride == 1) return at::conv2d(x, weight, bias, 1, padding);
  return at::conv2d(at::constant_pad_nd(x, {0, padding, 0, padding}), weight, bias, stride);
}

GroupNorm::GroupNorm(int64_t channels, int64_t group_count, const Scope& scope)
    : weight(scope.add_filled("weight", {channels}, 1)),
      bias(scope.add_filled("bias", {channels}, 0)),
      groups(group_count) {
  if (groups < 1 || channels % groups != 0)
    throw UsageError("a layer of ", channels, " channels does not split into ", groups,
                     " normalisation groups; choose a width that is a multiple of 32");
}

Tensor GroupNorm::operator()(const Tensor& x) const {
  const auto rows = x.size(0), channels = x.size(1);
  return kernels::group_norm(x, groups, weight.expand({rows, channels}),
                             bias.expand({rows, channels}));
}

Tensor GroupNorm::operator()(const Tensor& x, const Tensor& scale_shift) const {
  const auto modulation = scale_shift.chunk(2, 1);
  const auto gain = 1 + modulation[0];
  return kernels::group_norm(x, groups, weight * gain, at::addcmul(modulation[1], bias, gain));
}

LayerNorm::LayerNorm(int64_t width, const Scope& scope)
    : weight(scope.add_filled("weight", {width}, 1)), bias(scope.add_filled("bias", {width}, 0)) {}

Tensor LayerNorm::operator()(const Tensor& x) const {
  return at::layer_norm(x, weight.sizes(), weight, bias, 1e-5);
}

SelfAttention::SelfAttention(int64_t channels, int64_t head_count, const Scope& scope)
    : heads(head_count),
      // Scale 2 undoes the wider fan-out of three matrices in one.
      qkv(channels, 3 * channels, scope / "qkv", 2),
      out(channels, channels, scope / "out") {
  if (heads < 1 || channels % heads != 0)
    throw UsageError("a layer of ", channels, " channels does not split into ", heads,
                     " attention heads; choose a width that is a multiple of the head's");
}

Tensor SelfAttention::operator()(const Tensor& x) const {
  const auto batch = x.size(0), length = x.size(1), channels = x.size(2);
  const auto split = qkv(x).view({batch, length, 3, heads, channels / heads});
  const auto head = [&](int64_t which) { return split.select(2, which).transpose(1, 2); };
  const auto y = at::scaled_dot_product_attention(head(0), head(1), head(2));
  return out(y.transpose(1, 2).reshape({batch, length, channels}));
}

Tensor activate(Tensor x) { return x.requires_grad() ? at::silu(x) : at::silu_(x); }

Tensor scaled_sum(const Tensor& a, const Tensor& b) {
  return at::add(a, b).mul_(1 / std::numbers::sqrt2);
}

Tensor dropout(const Tensor& x, double rate, const std::optional<Streams>& streams, int64_t layer) {
  if (!streams || rate == 0) return x;
  const auto uniform = streams->fork(Purpose::kDropout, layer).uniform(x.sizes());
  return x * uniform.ge(rate).div(1 - rate).to(x.device());
}

}  // namespace bitdiff
