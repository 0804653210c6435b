#include "bitdiff/kernels/int8_conv.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/round.h>
#include <ATen/ops/where.h>

#include "bitdiff/kernels/group_norm.h"
#include "bitdiff/kernels/int8_conv_cpu.h"
#include "bitdiff/kernels/parts.h"

namespace bitdiff::kernels {
namespace {

bool fits(const std::vector<Tensor>& x, const Int8Weight& weight) {
  if (!weight.packed.defined() || x.size() > 2) return false;
  for (const auto& part : x)
    if (!cpu::fits_int8_conv(part)) return false;
  return true;
}

// [B] along the images [B, C, H, W].
Tensor each_image(const Tensor& t) { return t.view({-1, 1, 1, 1}); }

// In float64, which holds the sums exactly.
Tensor convolve(const Tensor& x, const Int8Weight& weight, const Tensor& bias) {
  const auto low = x.flatten(1).amin(1).clamp_max(0), high = x.flatten(1).amax(1).clamp_min(0);
  auto unit = (high - low) * (1 / 255.0F);
  unit = at::where(unit == 0, at::ones_like(unit), unit);
  const auto per_unit = unit.reciprocal();
  const auto zero = at::round(-low * per_unit);
  const auto q = (at::round(x * each_image(per_unit)) + each_image(zero)).clamp(0, 255);
  const auto sums = at::conv2d((q - each_image(zero)).to(at::kDouble), weight.q.to(at::kDouble), {},
                               1, weight.q.size(2) / 2);
  const auto y = sums * each_image(unit) * weight.unit.view({1, -1, 1, 1});
  return (y + bias.view({1, -1, 1, 1})).to(at::kFloat);
}

}  // namespace

Int8Weight quantize_weight(const Tensor& weight) {
  TORCH_CHECK(weight.dim() == 4 && weight.size(2) == weight.size(3) &&
                  (weight.size(2) == 1 || weight.size(2) == 3),
              "quantize_weight: expected [N, K, 1, 1] or [N, K, 3, 3], got ", weight.sizes());
  const auto w = weight.detach();
  auto unit = w.flatten(1).abs().amax(1) / 127;
  unit = at::where(unit == 0, at::ones_like(unit), unit);
  const auto q = at::round(w / each_image(unit)).to(at::kChar);
  return {q, unit, q.flatten(1).sum(1, false, at::kInt),
          cpu::fits_int8_weight(w) ? cpu::pack_int8(q) : Tensor()};
}

Tensor int8_conv(const std::vector<Tensor>& x, const Int8Weight& weight, const Tensor& bias) {
  check_parts("int8_conv", x, 1, weight.q.size(1), bias, weight.q.size(0));
  return fits(x, weight) ? cpu::int8_conv(x, weight, bias) : reference::int8_conv(x, weight, bias);
}

Tensor int8_linear(const Tensor& x, const Int8Weight& weight, const Tensor& bias) {
  // Rows are the pixels of an image one pixel wide.
  const auto image = x.transpose(1, 2).unsqueeze(3);
  return int8_conv({image}, weight, bias).squeeze(3).transpose(1, 2);
}

Tensor int8_silu_conv(const std::vector<Tensor>& x, const Norm& norm, const Int8Weight& weight,
                      const Tensor& bias, const std::optional<Residual>& residual) {
  check_parts("int8_silu_conv", x, 1, weight.q.size(1), bias, weight.q.size(0));
  if (residual) check_residual("int8_silu_conv", residual->x, x[0], weight.q.size(0));
  const std::vector<int64_t> each{x[0].size(0), weight.q.size(1)};
  TORCH_CHECK(norm.weight.sizes() == each && norm.bias.sizes() == each && norm.groups > 0 &&
                  each[1] % norm.groups == 0,
              "int8_silu_conv: expected a norm of ", IntArrayRef(each), ", got ",
              norm.weight.sizes(), ", ", norm.bias.sizes(), " and ", norm.groups, " groups");
  const bool fast = fits(x, weight) && (!residual || cpu::fits_int8_conv(residual->x));
  return fast ? cpu::int8_silu_conv(x, norm, weight, bias, residual)
              : reference::int8_silu_conv(x, norm, weight, bias, residual);
}

Tensor reference::int8_conv(const std::vector<Tensor>& x, const Int8Weight& weight,
                            const Tensor& bias) {
  return convolve(at::cat(x, 1), weight, bias);
}

Tensor reference::int8_silu_conv(const std::vector<Tensor>& x, const Norm& norm,
                                 const Int8Weight& weight, const Tensor& bias,
                                 const std::optional<Residual>& residual) {
  const auto a =
      reference::group_norm(at::cat(x, 1), norm.groups, norm.weight, norm.bias, Activation::kSilu);
  const auto y = convolve(a, weight, bias);
  return residual ? (y + residual->x) * residual->factor : y;
}

}  // namespace bitdiff::kernels
