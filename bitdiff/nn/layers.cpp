#include "bitdiff/nn/layers.h"

#include <numbers>

#include <ATen/TensorOperators.h>
#include <ATen/ops/add.h>
#include <ATen/ops/addcmul.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/silu.h>

#include "bitdiff/base/error.h"
#include "bitdiff/kernels/attention.h"
#include "bitdiff/kernels/conv3x3.h"
#include "bitdiff/kernels/group_norm.h"
#include "bitdiff/kernels/layer_norm.h"
#include "bitdiff/kernels/linear.h"
#include "bitdiff/kernels/takes_vectors.h"

namespace bitdiff {
namespace {

void check_heads(int64_t channels, int64_t heads) {
  if (heads < 1 || channels % heads != 0)
    throw UsageError("a layer of ", channels, " channels does not split into ", heads,
                     " attention heads; choose a width that is a multiple of the head's");
}

/// [B, L, n C] -> n tensors [B, heads, L, C / heads].
std::vector<Tensor> split_heads(const Tensor& x, int64_t parts, int64_t heads) {
  const auto split = x.view({x.size(0), x.size(1), parts, heads, x.size(2) / (parts * heads)});
  return split.permute({2, 0, 3, 1, 4}).unbind();
}

/// [B, heads, L, C / heads] -> [B, L, C].
Tensor join_heads(const Tensor& y) { return y.transpose(1, 2).flatten(2); }

/// `more` behind `past` on the axis of positions.
Tensor behind(const Tensor& past, const Tensor& more) {
  return past.defined() ? at::cat({past, more}, 2) : more;
}

}  // namespace

Linear::Linear(int64_t in, int64_t out, const Scope& scope, double init_scale)
    : weight(scope.add("weight", {out, in}, init_scale)),
      bias(scope.add_filled("bias", {out}, 0)) {}

Tensor Linear::operator()(const Tensor& x) const {
  return int8 ? kernels::int8_linear(x, *int8, bias) : kernels::linear({x}, weight, bias);
}

void Linear::quantize() { int8 = kernels::quantize_weight(weight.unsqueeze(2).unsqueeze(3)); }

Conv2d::Conv2d(int64_t in, int64_t out, const Scope& scope, Options options)
    : weight(scope.add("weight", {out, in, options.kernel, options.kernel}, options.init_scale)),
      bias(scope.add_filled("bias", {out}, 0)),
      stride(options.stride),
      padding(options.kernel / 2) {}

Tensor Conv2d::operator()(const Tensor& x) const {
  if (stride == 1) return (*this)(std::vector<Tensor>{x});
  const auto padded = at::constant_pad_nd(x, {0, padding, 0, padding});
  return kernels::for_vectors(at::conv2d(padded, weight, bias, stride), x);
}

Tensor Conv2d::operator()(const std::vector<Tensor>& x) const {
  TORCH_CHECK(stride == 1, "Conv2d: expected one tensor where the stride is ", stride);
  if (int8) return kernels::int8_conv(x, *int8, bias);
  if (padding == 0) return kernels::conv1x1(x, weight, bias);
  return kernels::conv3x3(x.size() == 1 ? x[0] : at::cat(x, 1), weight, bias);
}

Tensor Conv2d::of_silu(const std::vector<Tensor>& x, const kernels::Norm& norm,
                       const std::optional<kernels::Residual>& residual) const {
  if (int8) return kernels::int8_silu_conv(x, norm, *int8, bias, residual);
  return kernels::silu_conv3x3(x, norm, weight, bias, residual);
}

void Conv2d::quantize() {
  TORCH_CHECK(stride == 1, "Conv2d: expected a stride of 1 to quantize, got ", stride);
  int8 = kernels::quantize_weight(weight);
}

GroupNorm::GroupNorm(int64_t channels, int64_t group_count, const Scope& scope)
    : weight(scope.add_filled("weight", {channels}, 1)),
      bias(scope.add_filled("bias", {channels}, 0)),
      groups(group_count) {
  if (groups < 1 || channels % groups != 0)
    throw UsageError("a layer of ", channels, " channels does not split into ", groups,
                     " normalisation groups; choose a width that is a multiple of 32");
}

kernels::Norm GroupNorm::weights(int64_t rows) const {
  const auto each_row = [&](const Tensor& t) { return t.expand({rows, t.size(0)}); };
  return {groups, each_row(weight), each_row(bias)};
}

kernels::Norm GroupNorm::weights(const Tensor& scale_shift) const {
  const auto modulation = scale_shift.chunk(2, 1);
  const auto gain = 1 + modulation[0];
  return {groups, weight * gain, at::addcmul(modulation[1], bias, gain)};
}

Tensor GroupNorm::operator()(const Tensor& x) const {
  const auto norm = weights(x.size(0));
  return kernels::group_norm(x, groups, norm.weight, norm.bias);
}

LayerNorm::LayerNorm(int64_t width, const Scope& scope)
    : weight(scope.add_filled("weight", {width}, 1)), bias(scope.add_filled("bias", {width}, 0)) {}

Tensor LayerNorm::operator()(const Tensor& x) const {
  return at::layer_norm(x, weight.sizes(), weight, bias, 1e-6);
}

Tensor LayerNorm::operator()(const Tensor& x, const Tensor& gain, const Tensor& shift) const {
  return kernels::layer_norm(x, weight * gain, at::addcmul(shift, bias, gain));
}

SelfAttention::SelfAttention(int64_t channels, int64_t head_count, const Scope& scope)
    : heads(head_count),
      // Scale 2 undoes the wider fan-out of three matrices in one.
      qkv(channels, 3 * channels, scope / "qkv", 2),
      out(channels, channels, scope / "out") {
  check_heads(channels, heads);
}

Tensor SelfAttention::operator()(const Tensor& x) const {
  return out(kernels::self_attention(qkv(x), heads));
}

Tensor SelfAttention::causal(const Tensor& x, KeyValue& past) const {
  const auto all_three = qkv(x);
  const auto part = split_heads(all_three, 3, heads);
  const bool fresh = !past.key.defined();
  past = {behind(past.key, part[1]), behind(past.value, part[2])};
  if (fresh) return out(kernels::self_attention(all_three, heads, kernels::Sight::kUpToItself));
  // A mask counts from the end, and a single position sees all there is.
  const int64_t length = x.size(1), all = past.key.size(2);
  std::optional<Tensor> mask;
  if (length > 1) {
    mask = at::ones({length, all}, x.options().dtype(at::kBool)).tril(all - length);
  }
  return out(join_heads(at::scaled_dot_product_attention(part[0], past.key, past.value, mask)));
}

CrossAttention::CrossAttention(int64_t channels, int64_t context_channels, int64_t head_count,
                               const Scope& scope)
    : heads(head_count),
      query(channels, channels, scope / "query"),
      key_value(context_channels, 2 * channels, scope / "key_value"),
      out(channels, channels, scope / "out") {
  check_heads(channels, heads);
}

Tensor CrossAttention::look_at(const Tensor& context) const { return key_value(context); }

Tensor CrossAttention::operator()(const Tensor& x, const Tensor& keys_values) const {
  return out(kernels::cross_attention(query(x), keys_values, heads));
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
