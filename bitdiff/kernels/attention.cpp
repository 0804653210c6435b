#include "bitdiff/kernels/attention.h"

#include <ATen/ops/empty_like.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <torch/csrc/autograd/custom_function.h>

#include "bitdiff/kernels/attention_cpu.h"

namespace bitdiff::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

cpu::Attended views(const Tensor& qkv, int64_t heads, Sight sight) {
  const auto part = qkv.chunk(3, 2);
  return {part[0], part[1], part[2], heads, sight};
}

cpu::Attended views(const Tensor& q, const Tensor& kv, int64_t heads) {
  const auto part = kv.chunk(2, 2);
  return {q, part[0], part[1], heads, Sight::kAll};
}

class SelfAttention : public torch::autograd::Function<SelfAttention> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& qkv, int64_t heads, Sight sight) {
    context->saved_data["heads"] = heads;
    context->saved_data["sight"] = static_cast<int64_t>(sight);
    context->save_for_backward({qkv});
    return cpu::attention(views(qkv, heads, sight));
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto qkv = context->get_saved_variables()[0];
    const auto heads = context->saved_data["heads"].toInt();
    const auto sight = static_cast<Sight>(context->saved_data["sight"].toInt());
    const auto dqkv = at::empty_like(qkv, at::MemoryFormat::Contiguous);
    cpu::attention_gradient(gradients[0].contiguous(), views(qkv, heads, sight),
                            views(dqkv, heads, sight));
    return {dqkv, {}, {}};
  }
};

class CrossAttention : public torch::autograd::Function<CrossAttention> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& q, const Tensor& kv,
                        int64_t heads) {
    context->saved_data["heads"] = heads;
    context->save_for_backward({q, kv});
    return cpu::attention(views(q, kv, heads));
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const auto heads = context->saved_data["heads"].toInt();
    const auto dq = at::empty_like(saved[0], at::MemoryFormat::Contiguous);
    const auto dkv = at::empty_like(saved[1], at::MemoryFormat::Contiguous);
    cpu::attention_gradient(gradients[0].contiguous(), views(saved[0], saved[1], heads),
                            views(dq, dkv, heads));
    return {dq, dkv, {}};
  }
};

void check(const Tensor& x, int64_t parts, int64_t heads) {
  TORCH_CHECK(x.dim() == 3 && heads > 0 && x.size(2) % (parts * heads) == 0,
              "attention: expected [B, L, ", parts, " C] with C a multiple of ", heads, ", got ",
              x.sizes());
}

// [B, L, C] -> [B, heads, L, C / heads].
Tensor split_heads(const Tensor& x, int64_t heads) {
  return x.unflatten(2, {heads, x.size(2) / heads}).transpose(1, 2);
}

Tensor plain(const cpu::Attended& x) {
  const bool causal = x.sight == Sight::kUpToItself;
  const auto y =
      at::scaled_dot_product_attention(split_heads(x.query, x.heads), split_heads(x.key, x.heads),
                                       split_heads(x.value, x.heads), /*attn_mask=*/{}, 0, causal);
  return y.transpose(1, 2).flatten(2);
}

}  // namespace

Tensor self_attention(const Tensor& qkv, int64_t heads, Sight sight) {
  check(qkv, 3, heads);
  if (!cpu::fits_attention(views(qkv, heads, sight)))
    return reference::self_attention(qkv, heads, sight);
  return SelfAttention::apply(qkv, heads, sight);
}

Tensor cross_attention(const Tensor& q, const Tensor& kv, int64_t heads) {
  check(q, 1, heads);
  check(kv, 2, heads);
  TORCH_CHECK(q.size(0) == kv.size(0) && 2 * q.size(2) == kv.size(2), "attention: queries ",
              q.sizes(), " do not fit keys and values ", kv.sizes());
  if (!cpu::fits_attention(views(q, kv, heads))) return reference::cross_attention(q, kv, heads);
  return CrossAttention::apply(q, kv, heads);
}

Tensor reference::self_attention(const Tensor& qkv, int64_t heads, Sight sight) {
  return plain(views(qkv, heads, sight));
}

Tensor reference::cross_attention(const Tensor& q, const Tensor& kv, int64_t heads) {
  return plain(views(q, kv, heads));
}

}  // namespace bitdiff::kernels
