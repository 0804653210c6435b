#include "bitdiff/kernels/conv3x3.h"

#include <ATen/ops/conv2d.h>
#include <torch/csrc/autograd/custom_function.h>

#include "bitdiff/base/autocast.h"
#include "bitdiff/kernels/conv3x3_cpu.h"

namespace bitdiff::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

class Conv : public torch::autograd::Function<Conv> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& x, const Tensor& weight,
                        const Tensor& bias) {
    const auto products = products_now();
    context->saved_data["products"] = static_cast<int64_t>(products);
    context->save_for_backward({x, weight});
    return cpu::conv3x3(x, weight, bias, {}, products);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const auto &x = saved[0], &weight = saved[1];
    const auto dy = gradients[0].contiguous(at::MemoryFormat::ChannelsLast);
    const auto products = static_cast<Products>(context->saved_data["products"].toInt());
    return {
        context->needs_input_grad(0) ? cpu::conv3x3_input_gradient(dy, weight, products) : Tensor(),
        cpu::conv3x3_weight_gradient(dy, x, products), dy.sum({0, 2, 3})};
  }
};

/// Whether autocast asks for bfloat16 where only LibTorch has it: slower than float32 of ours, and
/// with weights' gradients that are a few percent off, for they are summed in bfloat16.
bool asks_for_emulation(const Tensor& x) {
  return has_vectors() && !has_tiles() && x.is_cpu() && products_now() == Products::kBfloat16 &&
         at::autocast::get_autocast_dtype(at::kCPU) == at::kBFloat16;
}

}  // namespace

Tensor conv3x3(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  TORCH_CHECK(x.dim() == 4 && weight.dim() == 4 && x.size(1) == weight.size(1) &&
                  weight.size(2) == 3 && weight.size(3) == 3 && bias.size(0) == weight.size(0),
              "conv3x3: expected [B, K, H, W], [N, K, 3, 3] and [N], got ", x.sizes(),
              weight.sizes(), bias.sizes());
  if (asks_for_emulation(x)) {
    const Autocast in_float32(false, at::kCPU);
    return conv3x3(x.to(at::kFloat), weight, bias).to(at::kBFloat16);
  }
  if (!cpu::fits_conv3x3(x) || !cpu::fits_conv3x3_weight(weight))
    return for_vectors(reference::conv3x3(x, weight, bias), x);
  return Conv::apply(x, weight, bias);
}

Tensor reference::conv3x3(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  return at::conv2d(x, weight, bias, 1, 1);
}

}  // namespace bitdiff::kernels
