#include "bitdiff/kernels/linear.h"

#include <optional>

#include <ATen/ops/cat.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/linear.h>
#include <torch/csrc/autograd/custom_function.h>

#include "bitdiff/kernels/linear_cpu.h"
#include "bitdiff/kernels/parts.h"

namespace bitdiff::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

class Linear : public torch::autograd::Function<Linear> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& x,
                        const std::optional<Tensor>& more, const Tensor& weight,
                        const Tensor& bias) {
    std::vector<Tensor> parts{x};
    if (more) parts.push_back(*more);
    const auto products = products_now();
    context->saved_data["parts"] = static_cast<int64_t>(parts.size());
    context->saved_data["products"] = static_cast<int64_t>(products);
    context->save_for_backward({weight, x, more.value_or(Tensor())});
    return cpu::linear(parts, weight.flatten(1), bias, products);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const auto weight = saved[0].flatten(1);
    std::vector<Tensor> x{saved[1]};
    if (context->saved_data["parts"].toInt() == 2) x.push_back(saved[2]);
    const auto products = static_cast<Products>(context->saved_data["products"].toInt());
    const auto dy = gradients[0].contiguous();
    variable_list dx(2);
    int64_t first = 0;
    for (size_t i = 0; i < x.size(); first += x[i++].size(-1)) {
      if (context->needs_input_grad(i))
        dx[i] = cpu::linear_input_gradient(dy, weight, x[i], first, products);
    }
    // A 1x1 kernel may have other strides for the same order of memory.
    const auto dweight = cpu::linear_weight_gradient(dy, x, products)
                             .as_strided(saved[0].sizes(), saved[0].strides());
    return {dx[0], dx[1], dweight, cpu::linear_bias_gradient(dy)};
  }
};

Tensor whole(const std::vector<Tensor>& x, int64_t axis) {
  return x.size() == 1 ? x[0] : at::cat(x, axis);
}

// Fewer rows are not worth the packing of the weight.
constexpr int64_t kFewestRows = 32;

bool fits(const std::vector<Tensor>& x, const Tensor& weight) {
  if (x.size() > 2 || x[0].numel() < kFewestRows * x[0].size(-1)) return false;
  for (const auto& part : x)
    if (!cpu::fits_linear(part)) return false;
  return cpu::fits_linear(weight) && weight.size(0) % 16 == 0;
}

// `weight`: [N, K], or [N, K, 1, 1].
Tensor apply(const std::vector<Tensor>& x, const Tensor& weight, const Tensor& bias) {
  return Linear::apply(x[0], x.size() == 2 ? std::optional(x[1]) : std::nullopt, weight, bias);
}

}  // namespace

Tensor linear(const std::vector<Tensor>& x, const Tensor& weight, const Tensor& bias) {
  check_parts("linear", x, -1, weight.size(1), bias, weight.size(0));
  if (!fits(x, weight)) return for_vectors(reference::linear(x, weight, bias), x[0]);
  return apply(x, weight, bias);
}

Tensor reference::linear(const std::vector<Tensor>& x, const Tensor& weight, const Tensor& bias) {
  return at::linear(whole(x, -1), weight, bias);
}

Tensor conv1x1(const std::vector<Tensor>& x, const Tensor& weight, const Tensor& bias) {
  check_parts("conv1x1", x, 1, weight.size(1), bias, weight.size(0));
  // Channels last, the pixels of images are rows.
  std::vector<Tensor> rows;
  for (const auto& part : x) rows.push_back(part.permute({0, 2, 3, 1}));
  if (!fits(rows, weight.flatten(1))) return for_vectors(reference::conv1x1(x, weight, bias), x[0]);
  return apply(rows, weight, bias).permute({0, 3, 1, 2});
}

Tensor reference::conv1x1(const std::vector<Tensor>& x, const Tensor& weight, const Tensor& bias) {
  return at::conv2d(whole(x, 1), weight, bias);
}

}  // namespace bitdiff::kernels
