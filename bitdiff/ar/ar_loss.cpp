#include "bitdiff/ar/ar_loss.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/Reduction.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <c10/util/Exception.h>

namespace bitdiff {

Tensor is_padding(const Tensor& tokens, int64_t eos) {
  // Of bytes, which are unsigned, -1 would be 255.
  const auto is_eos = tokens.to(at::kLong).eq(eos).to(at::kLong);
  return is_eos.cumsum(-1) > is_eos;
}

int64_t count_tokens(const Tensor& tokens, int64_t eos) {
  return is_padding(tokens, eos).logical_not().sum().item<int64_t>();
}

Tensor ar_loss(const NextToken& net, const Tensor& tokens, const Condition& cond,
               const ArLossOptions& options) {
  TORCH_CHECK(tokens.dim() == 2 || (tokens.dim() == 3 && tokens.size(1) == 1),
              "ar_loss: expected tokens [B, L] or [B, 1, L], got ", tokens.sizes());
  const auto x = tokens.reshape({tokens.size(0), tokens.size(-1)}).to(at::kLong);
  const auto logits = net.forward(x, cond);

  constexpr int64_t kIgnored = -100;  // No token.
  const auto target = x.masked_fill(is_padding(x, options.eos), kIgnored);
  return at::cross_entropy_loss(logits.flatten(0, 1), target.flatten(), {}, at::Reduction::Mean,
                                kIgnored);
}

}  // namespace bitdiff
