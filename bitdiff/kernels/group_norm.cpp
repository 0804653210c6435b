#include "bitdiff/kernels/group_norm.h"

#include <ATen/ops/addcmul.h>
#include <ATen/ops/group_norm.h>
#include <ATen/ops/silu.h>
#include <torch/csrc/autograd/custom_function.h>

#include "bitdiff/kernels/group_norm_cpu.h"

namespace bitdiff::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

class ChannelsLastGroupNorm : public torch::autograd::Function<ChannelsLastGroupNorm> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& x, int64_t groups,
                        const Tensor& weight, const Tensor& bias, Activation activation) {
    const auto norm = cpu::group_norm({x}, groups, weight, bias, activation);
    context->saved_data["groups"] = groups;
    context->saved_data["activation"] = static_cast<int64_t>(activation);
    context->save_for_backward({x, weight, bias, norm.mean, norm.rstd});
    return norm.y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const auto dy = gradients[0].contiguous(at::MemoryFormat::ChannelsLast);
    const auto activation = static_cast<Activation>(context->saved_data["activation"].toInt());
    auto gradient = cpu::group_norm_gradient(dy, {saved[0]}, context->saved_data["groups"].toInt(),
                                             saved[1], saved[2], activation,
                                             {.y = {}, .mean = saved[3], .rstd = saved[4]});
    return {gradient.x[0], {}, gradient.weight, gradient.bias, {}};
  }
};

void check(const Tensor& x, int64_t groups, const Tensor& weight, const Tensor& bias) {
  TORCH_CHECK(x.dim() == 4 && groups > 0 && x.size(1) % groups == 0,
              "expected [B, C, H, W] with a multiple of ", groups, " channels, got ", x.sizes());
  const auto row = x.sizes().slice(0, 2);
  TORCH_CHECK(weight.sizes() == row && bias.sizes() == row, "expected weight and bias ", row,
              ", got ", weight.sizes(), " and ", bias.sizes());
}

}  // namespace

Tensor group_norm(const Tensor& x, int64_t groups, const Tensor& weight, const Tensor& bias,
                  Activation activation) {
  if (!x.is_cpu() || !x.is_contiguous(at::MemoryFormat::ChannelsLast))
    return reference::group_norm(x, groups, weight, bias, activation);
  check(x, groups, weight, bias);
  const auto full = [](const Tensor& t) { return t.to(at::kFloat).contiguous(); };
  return ChannelsLastGroupNorm::apply(x.to(at::kFloat), groups, full(weight), full(bias),
                                      activation)
      .to(x.scalar_type());
}

Tensor reference::group_norm(const Tensor& x, int64_t groups, const Tensor& weight,
                             const Tensor& bias, Activation activation) {
  check(x, groups, weight, bias);
  const auto spread = [&](const Tensor& t) {
    return t.to(x.scalar_type()).unsqueeze(-1).unsqueeze(-1);
  };
  const auto y = at::addcmul(spread(bias), at::group_norm(x, groups, {}, {}, 1e-5), spread(weight));
  return activation == Activation::kSilu ? at::silu(y) : y;
}

}  // namespace bitdiff::kernels
