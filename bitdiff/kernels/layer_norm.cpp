#include "bitdiff/kernels/layer_norm.h"

#include <ATen/ops/addcmul.h>
#include <ATen/ops/layer_norm.h>
#include <torch/csrc/autograd/custom_function.h>

#include "bitdiff/cuda/library.h"
#include "bitdiff/kernels/layer_norm_cpu.h"
#include "bitdiff/kernels/layer_norm_cuda.h"

namespace bitdiff::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

class LayerNorm : public torch::autograd::Function<LayerNorm> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& x, const Tensor& weight,
                        const Tensor& bias) {
    const auto norm = x.is_cpu() ? cpu::layer_norm(x, weight, bias)
                                 : gpu::layer_norm(*cuda::library(), x, weight, bias);
    context->save_for_backward({x, weight, norm.mean, norm.rstd});
    return norm.y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const auto &x = saved[0], &weight = saved[1];
    const auto dy = gradients[0].contiguous();
    const Normed norm{.y = {}, .mean = saved[2], .rstd = saved[3]};
    const auto gradient = x.is_cpu()
                              ? cpu::layer_norm_gradient(dy, x, weight, norm)
                              : gpu::layer_norm_gradient(*cuda::library(), dy, x, weight, norm);
    return {gradient.x, gradient.weight, gradient.bias};
  }
};

void check(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  TORCH_CHECK(x.dim() == 3, "layer_norm: expected [B, L, D], got ", x.sizes());
  const std::vector<int64_t> row{x.size(0), x.size(2)};
  TORCH_CHECK(weight.sizes() == row && bias.sizes() == row, "layer_norm: expected weight and bias ",
              row, ", got ", weight.sizes(), " and ", bias.sizes());
  TORCH_CHECK(weight.device() == x.device() && bias.device() == x.device(),
              "layer_norm: expected weight and bias on ", x.device(), ", got ", weight.device(),
              " and ", bias.device());
}

bool fits(const Tensor& x) {
  if (x.is_cuda()) return cuda::library_for(x.device()) && gpu::fits_layer_norm(x);
  return cpu::fits_layer_norm(x);
}

}  // namespace

Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  check(x, weight, bias);
  if (!fits(x)) return reference::layer_norm(x, weight, bias);
  const auto full = [](const Tensor& t) { return t.to(at::kFloat).contiguous(); };
  return LayerNorm::apply(x, full(weight), full(bias));
}

Tensor reference::layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  check(x, weight, bias);
  const auto spread = [&](const Tensor& t) { return t.to(x.scalar_type()).unsqueeze(1); };
  const auto normal = at::layer_norm(x, {x.size(2)}, {}, {}, 1e-6);
  return at::addcmul(spread(bias), normal, spread(weight));
}

}  // namespace bitdiff::kernels
