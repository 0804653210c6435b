#include "bitdiff/kernels/group_norm.h"

#include <algorithm>
#include <optional>

#include <ATen/ops/addcmul.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/group_norm.h>
#include <ATen/ops/silu.h>
#include <torch/csrc/autograd/custom_function.h>

#include "bitdiff/cuda/library.h"
#include "bitdiff/kernels/group_norm_cpu.h"
#include "bitdiff/kernels/group_norm_cuda.h"

namespace bitdiff::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

class ChannelsLastGroupNorm : public torch::autograd::Function<ChannelsLastGroupNorm> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& x,
                        const std::optional<Tensor>& more, const Tensor& weight, const Tensor& bias,
                        int64_t groups, Activation activation) {
    Parts parts{x};
    if (more) parts.push_back(*more);
    const auto norm =
        x.is_cpu() ? cpu::group_norm(parts, groups, weight, bias, activation)
                   : gpu::group_norm(*cuda::library(), parts, groups, weight, bias, activation);
    context->saved_data["groups"] = groups;
    context->saved_data["activation"] = static_cast<int64_t>(activation);
    context->save_for_backward({weight, bias, norm.mean, norm.rstd, x, more.value_or(Tensor())});
    return norm.y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const auto dy = gradients[0].contiguous(at::MemoryFormat::ChannelsLast);
    const auto activation = static_cast<Activation>(context->saved_data["activation"].toInt());
    const auto groups = context->saved_data["groups"].toInt();
    const auto &weight = saved[0], &bias = saved[1];
    const Normed norm{.y = {}, .mean = saved[2], .rstd = saved[3]};
    Parts x{saved[4]};
    if (saved[5].defined()) x.push_back(saved[5]);
    auto gradient = dy.is_cpu()
                        ? cpu::group_norm_gradient(dy, x, groups, weight, bias, activation, norm)
                        : gpu::group_norm_gradient(*cuda::library(), dy, x, groups, weight, bias,
                                                   activation, norm);
    gradient.x.resize(2);
    return {gradient.x[0], gradient.x[1], gradient.weight, gradient.bias, {}, {}};
  }
};

void check(const Parts& x, int64_t groups, const Tensor& weight, const Tensor& bias) {
  TORCH_CHECK(!x.empty(), "group_norm: expected an image");
  int64_t channels = 0;
  for (const auto& part : x) {
    TORCH_CHECK(part.dim() == 4, "group_norm: expected [B, C, H, W], got ", part.sizes());
    TORCH_CHECK(part.size(0) == x[0].size(0) && part.size(2) == x[0].size(2) &&
                    part.size(3) == x[0].size(3) && part.device() == x[0].device(),
                "group_norm: expected parts of one image, got ", x[0].sizes(), " and ",
                part.sizes());
    channels += part.size(1);
  }
  TORCH_CHECK(channels > 0 && groups > 0 && channels % groups == 0,
              "group_norm: expected a multiple of ", groups, " channels, got ", channels);
  const std::vector<int64_t> row{x[0].size(0), channels};
  TORCH_CHECK(weight.sizes() == row && bias.sizes() == row, "expected weight and bias ", row,
              ", got ", weight.sizes(), " and ", bias.sizes());
  TORCH_CHECK(weight.device() == x[0].device() && bias.device() == x[0].device(),
              "group_norm: expected weight and bias on ", x[0].device(), ", got ", weight.device(),
              " and ", bias.device());
}

bool fits(const Parts& x, int64_t groups) {
  if (x[0].is_cuda()) return cuda::library_for(x[0].device()) && gpu::fits_group_norm(x, groups);
  const auto in_order = [](const Tensor& t) {
    return t.is_cpu() && t.is_contiguous(at::MemoryFormat::ChannelsLast);
  };
  return x.size() <= 2 && std::all_of(x.begin(), x.end(), in_order);
}

}  // namespace

Tensor group_norm(const Tensor& x, int64_t groups, const Tensor& weight, const Tensor& bias,
                  Activation activation) {
  return group_norm(Parts{x}, groups, weight, bias, activation);
}

Tensor group_norm(const std::vector<Tensor>& x, int64_t groups, const Tensor& weight,
                  const Tensor& bias, Activation activation) {
  check(x, groups, weight, bias);
  if (!fits(x, groups)) {
    const auto whole = x.size() == 1 ? x[0] : at::cat(x, 1);
    return reference::group_norm(whole, groups, weight, bias, activation);
  }
  const auto full = [](const Tensor& t) { return t.to(at::kFloat).contiguous(); };
  // Kernels on GPUs read and write bfloat16 as it is.
  const auto taken = [&](const Tensor& t) { return t.is_cpu() ? t.to(at::kFloat) : t; };
  const auto more = x.size() == 2 ? std::optional(taken(x[1])) : std::nullopt;
  return ChannelsLastGroupNorm::apply(taken(x[0]), more, full(weight), full(bias), groups,
                                      activation)
      .to(x[0].scalar_type());
}

Tensor reference::group_norm(const Tensor& x, int64_t groups, const Tensor& weight,
                             const Tensor& bias, Activation activation) {
  check({x}, groups, weight, bias);
  const auto spread = [&](const Tensor& t) {
    return t.to(x.scalar_type()).unsqueeze(-1).unsqueeze(-1);
  };
  const auto y = at::addcmul(spread(bias), at::group_norm(x, groups, {}, {}, 1e-5), spread(weight));
  return activation == Activation::kSilu ? at::silu(y) : y;
}

}  // namespace bitdiff::kernels
