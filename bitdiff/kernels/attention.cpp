#include "bitdiff/kernels/attention.h"

#include <ATen/ops/scaled_dot_product_attention.h>
#include <torch/csrc/autograd/custom_function.h>

#include "bitdiff/kernels/attention_cpu.h"

namespace bitdiff::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

class SelfAttention : public torch::autograd::Function<SelfAttention> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& qkv, int64_t heads) {
    context->saved_data["heads"] = heads;
    context->save_for_backward({qkv});
    return cpu::self_attention(qkv, heads);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto qkv = context->get_saved_variables()[0];
    const auto heads = context->saved_data["heads"].toInt();
    return {cpu::self_attention_gradient(gradients[0].contiguous(), qkv, heads), {}};
  }
};

}  // namespace

Tensor self_attention(const Tensor& qkv, int64_t heads) {
  TORCH_CHECK(qkv.dim() == 3 && heads > 0 && qkv.size(2) % (3 * heads) == 0,
              "self_attention: expected [B, L, 3 C] with C a multiple of ", heads, ", got ",
              qkv.sizes());
  if (!cpu::fits_attention(qkv, heads)) return reference::self_attention(qkv, heads);
  return SelfAttention::apply(qkv, heads);
}

Tensor reference::self_attention(const Tensor& qkv, int64_t heads) {
  const auto width = qkv.size(2) / (3 * heads);
  const auto part = qkv.view({qkv.size(0), qkv.size(1), 3, heads, width}).permute({2, 0, 3, 1, 4});
  return at::scaled_dot_product_attention(part[0], part[1], part[2]).transpose(1, 2).flatten(2);
}

}  // namespace bitdiff::kernels
