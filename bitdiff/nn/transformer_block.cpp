#include "bitdiff/nn/transformer_block.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/gelu.h>
#include <c10/util/Exception.h>

namespace bitdiff {

BlockNorm::BlockNorm(int64_t width, bool timed, const Scope& scope) : norm(width, scope) {
  if (timed) scale_shift.emplace(width, 2 * width, scope / "scale_shift");
}

Tensor BlockNorm::operator()(const Tensor& x, const Tensor& time) const {
  if (!scale_shift) return norm(x);
  const auto modulation = (*scale_shift)(time).chunk(2, -1);
  return norm(x, 1 + modulation[0], modulation[1]);
}

TransformerBlock::TransformerBlock(const Shape& sizes, const Scope& scope)
    : shape(sizes),
      norm0(sizes.width, sizes.timed, scope / "norm0"),
      attention(sizes.width, sizes.heads, scope / "attention"),
      norm1(sizes.width, sizes.timed, scope / "norm1"),
      dense0(sizes.width, sizes.mlp * sizes.width, scope / "dense0"),
      dense1(sizes.mlp * sizes.width, sizes.width, scope / "dense1") {
  if (sizes.context_width == 0) return;
  norm_cross.emplace(sizes.width, sizes.timed, scope / "norm_cross");
  cross.emplace(sizes.width, sizes.context_width, sizes.heads, scope / "cross");
}

template <class Self, class Context>
Tensor TransformerBlock::run(Tensor x, const Tensor& time, const Dropout& streams, const Self& self,
                             const Context& context) const {
  const auto drop = [&](const Tensor& h, int64_t part) {
    return dropout(h, shape.dropout, streams, 3 * shape.number + part);
  };
  x = x + drop(self(norm0(x, time)), 0);
  if (cross) x = x + drop((*cross)((*norm_cross)(x, time), context()), 1);
  return x + drop(dense1(at::gelu(dense0(norm1(x, time)))), 2);
}

Tensor TransformerBlock::operator()(const Tensor& x, const Tensor& time, const Tensor& seen,
                                    const Dropout& streams) const {
  TORCH_CHECK(!cross || seen.defined(), "TransformerBlock: expected a context, got none");
  return run(
      x, time, streams, [&](const Tensor& h) { return attention(h); }, [&] { return seen; });
}

Tensor TransformerBlock::causal(const Tensor& x, const Tensor& context, Cache& cache,
                                const Dropout& streams) const {
  TORCH_CHECK(!cross || context.defined(), "TransformerBlock: expected a context, got none");
  return run(
      x, {}, streams, [&](const Tensor& h) { return attention.causal(h, cache.past); },
      [&] {
        if (!cache.context.defined()) cache.context = cross->look_at(context);
        return cache.context;
      });
}

}  // namespace bitdiff
