#include "bitdiff/ar/sample_token.h"

#include <algorithm>

#include <ATen/TensorOperators.h>
#include <ATen/ops/searchsorted.h>
#include <ATen/ops/softmax.h>

namespace bitdiff {
namespace {

/// An index of each row, int64 [B], drawn in proportion to `weights`, float32 [B, n].
Tensor draw_index(const Tensor& weights, const Tensor& u) {
  // In float64: the sum of 32000 small numbers would drift.
  const auto cumulative = weights.cumsum(1, at::kDouble);
  const auto target = u.to(at::kDouble).unsqueeze(1) * cumulative.slice(1, -1);
  // The first index that is above the target, which no weight of zero is.
  return at::searchsorted(cumulative, target, false, true).squeeze(1);
}

}  // namespace

Tensor sample_token(const Tensor& logits, const SampleTokenOptions& options, const Tensor& u) {
  const auto distribution = [&](const Tensor& x) {
    return at::softmax(x / options.temperature, 1);
  };
  // The most common case needs no sorting.
  if (options.top_k == 0 && options.top_p == 1) return draw_index(distribution(logits), u);

  const int64_t all = logits.size(1);
  const int64_t k = options.top_k == 0 ? all : std::min(options.top_k, all);
  const auto [likely, token] = logits.topk(k, 1, /*largest=*/true, /*sorted=*/true);
  const auto p = distribution(likely);
  const auto before = p.cumsum(1, at::kDouble) - p;
  const auto index = draw_index(p.masked_fill(before >= options.top_p, 0), u);
  return token.gather(1, index.unsqueeze(1)).squeeze(1);
}

}  // namespace bitdiff
