#include "bitdiff/kernels/silu_conv3x3.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <torch/csrc/autograd/custom_function.h>

#include "bitdiff/kernels/conv3x3.h"
#include "bitdiff/kernels/conv3x3_cpu.h"
#include "bitdiff/kernels/group_norm_cpu.h"
#include "bitdiff/kernels/parts.h"

namespace bitdiff::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr auto kSilu = Activation::kSilu;

// The tensors in the order in which autograd knows them; `more` and `residual` may be missing.
class SiluConv : public torch::autograd::Function<SiluConv> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& x,
                        const std::optional<Tensor>& more, const Tensor& norm_weight,
                        const Tensor& norm_bias, const Tensor& weight, const Tensor& bias,
                        const std::optional<Tensor>& residual, int64_t groups, double factor) {
    Parts parts{x};
    if (more) parts.push_back(*more);
    const auto norm = cpu::group_norm(parts, groups, norm_weight, norm_bias, kSilu);
    const auto products = products_now();
    context->saved_data["products"] = static_cast<int64_t>(products);
    context->saved_data["groups"] = groups;
    context->saved_data["factor"] = factor;
    context->saved_data["residual"] = residual.has_value();
    context->save_for_backward(
        {norm_weight, norm_bias, norm.mean, norm.rstd, weight, x, more.value_or(Tensor())});
    return cpu::conv3x3(norm.y, weight, bias,
                        residual ? std::optional(Residual{*residual, factor}) : std::nullopt,
                        products);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const auto &norm_weight = saved[0], &norm_bias = saved[1], &weight = saved[4];
    const Normed norm{.y = {}, .mean = saved[2], .rstd = saved[3]};
    const auto groups = context->saved_data["groups"].toInt();
    Parts x{saved[5]};
    if (saved[6].defined()) x.push_back(saved[6]);
    const bool has_residual = context->saved_data["residual"].toBool();

    auto dy = gradients[0].contiguous(at::MemoryFormat::ChannelsLast);
    if (has_residual) dy = dy * context->saved_data["factor"].toDouble();
    const auto products = static_cast<Products>(context->saved_data["products"].toInt());
    const auto dweight = cpu::conv3x3_weight_gradient(
        dy, cpu::group_norm_again(x, norm_weight, norm_bias, kSilu, norm), products);
    auto gradient = cpu::group_norm_gradient(cpu::conv3x3_input_gradient(dy, weight, products), x,
                                             groups, norm_weight, norm_bias, kSilu, norm);
    gradient.x.resize(2);
    return {gradient.x[0],
            gradient.x[1],
            gradient.weight,
            gradient.bias,
            dweight,
            dy.sum({0, 2, 3}),
            has_residual ? dy : Tensor(),
            {},
            {}};
  }
};

bool fits(const std::vector<Tensor>& x, const Tensor& weight,
          const std::optional<Residual>& residual) {
  if (x.size() > 2 || (residual && !cpu::fits_conv3x3(residual->x))) return false;
  for (const auto& part : x)
    if (!cpu::fits_conv3x3(part)) return false;
  return cpu::fits_conv3x3_weight(weight);
}

void check(const std::vector<Tensor>& x, const Norm& norm, const Tensor& weight, const Tensor& bias,
           const std::optional<Residual>& residual) {
  TORCH_CHECK(!x.empty() && x[0].dim() == 4 && weight.dim() == 4 && weight.size(2) == 3 &&
                  weight.size(3) == 3,
              "silu_conv3x3: expected images and a weight [N, K, 3, 3], got ", weight.sizes());
  const int64_t channels = weight.size(1);
  check_parts("silu_conv3x3", x, 1, channels, bias, weight.size(0));
  if (residual) check_residual("silu_conv3x3", residual->x, x[0], weight.size(0));
  const std::vector<int64_t> each{x[0].size(0), channels};
  TORCH_CHECK(norm.weight.sizes() == each && norm.bias.sizes() == each && norm.groups > 0 &&
                  channels % norm.groups == 0,
              "silu_conv3x3: expected weights for ", channels, " channels, got ",
              norm.weight.sizes(), norm.bias.sizes(), weight.sizes(), " and ", norm.groups,
              " groups");
}

Tensor finish(const Tensor& y, const std::optional<Residual>& residual) {
  return residual ? (y + residual->x) * residual->factor : y;
}

}  // namespace

Tensor silu_conv3x3(const std::vector<Tensor>& x, const Norm& norm, const Tensor& weight,
                    const Tensor& bias, const std::optional<Residual>& residual) {
  check(x, norm, weight, bias, residual);
  if (!fits(x, weight, residual)) {
    const auto a = group_norm(x, norm.groups, norm.weight, norm.bias, kSilu);
    return finish(conv3x3(a, weight, bias), residual);
  }
  const auto optional = [](bool there, const Tensor& t) {
    return there ? std::optional(t) : std::nullopt;
  };
  return SiluConv::apply(x[0], optional(x.size() == 2, x.back()), norm.weight.contiguous(),
                         norm.bias.contiguous(), weight, bias,
                         optional(residual.has_value(), residual ? residual->x : Tensor()),
                         norm.groups, residual ? residual->factor : 1);
}

Tensor reference::silu_conv3x3(const std::vector<Tensor>& x, const Norm& norm, const Tensor& weight,
                               const Tensor& bias, const std::optional<Residual>& residual) {
  const auto a = reference::group_norm(at::cat(x, 1), norm.groups, norm.weight, norm.bias, kSilu);
  return finish(reference::conv3x3(a, weight, bias), residual);
}

}  // namespace bitdiff::kernels
