#include "bitdiff/nn/transformer.h"

#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/ops/addcmul.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/gelu.h>

#include "bitdiff/base/error.h"
#include "bitdiff/nn/layers.h"

namespace bitdiff {
namespace {

/// norm(x) * (1 + scale) + shift, with scale and shift from the time.
struct AdaptiveNorm {
  AdaptiveNorm(int64_t width, const Scope& scope)
      : norm(width, scope), scale_shift(width, 2 * width, scope / "scale_shift") {}

  Tensor operator()(const Tensor& x, const Tensor& time) const {
    const auto modulation = scale_shift(time).unsqueeze(1).chunk(2, -1);
    return at::addcmul(modulation[1], norm(x), 1 + modulation[0]);
  }

  LayerNorm norm;
  Linear scale_shift;
};

/// x + attention(norm0(x)), and then x + mlp(norm1(x)).
struct TransformerBlock {
  TransformerBlock(const TransformerOptions& options, int64_t block_number, const Scope& scope)
      : norm0(options.width, scope / "norm0"),
        attention(options.width, options.heads, scope / "attention"),
        norm1(options.width, scope / "norm1"),
        dense0(options.width, options.mlp * options.width, scope / "dense0"),
        dense1(options.mlp * options.width, options.width, scope / "dense1"),
        dropout_rate(options.dropout),
        number(block_number) {}

  Tensor operator()(Tensor x, const Tensor& time, const Condition& cond) const {
    const auto drop = [&](const Tensor& h, int64_t layer) {
      return dropout(h, dropout_rate, cond.dropout, layer);
    };
    x = x + drop(attention(norm0(x, time)), 2 * number);
    return x + drop(dense1(at::gelu(dense0(norm1(x, time)))), 2 * number + 1);
  }

  AdaptiveNorm norm0;
  SelfAttention attention;
  AdaptiveNorm norm1;
  Linear dense0, dense1;
  double dropout_rate;
  int64_t number;
};

class Transformer final : public Denoiser {
 public:
  Transformer(const TransformerOptions& options, const TransformerShape& shape, const Scope& scope)
      : time_(options.time, {options.width, options.width, shape.classes}, scope / "time"),
        dense_in_(2 * shape.in_channels, options.width, scope / "dense_in"),
        positions_(scope.add("positions", {shape.length, options.width})),
        norm_out_(options.width, scope / "norm_out"),
        dense_out_(options.width, shape.out_channels, scope / "dense_out", kSilentInit) {
    for (int64_t i = 0; i < options.layers; ++i)
      block_.emplace_back(options, i, scope / "block" / i);
  }

  Tensor forward(const Tensor& x_t, const Tensor& x0_prev, const Tensor& gamma,
                 const Condition& cond) const override {
    TORCH_CHECK(x_t.dim() == 3 && x_t.size(2) <= positions_.size(0),
                "Transformer: expected [B, C, L] with L at most ", positions_.size(0), ", got ",
                x_t.sizes());
    const auto time = time_(gamma, cond.label);
    const auto input = at::cat({x_t, x0_prev}, 1).transpose(1, 2);  // [B, L, 2 C]
    auto x = dense_in_(input) + positions_.slice(0, 0, x_t.size(2));
    for (const auto& block : block_) x = block(x, time, cond);
    return dense_out_(norm_out_(x)).transpose(1, 2).contiguous();
  }

 private:
  TimeEmbedding time_;
  Linear dense_in_;
  Tensor positions_;
  std::vector<TransformerBlock> block_;
  LayerNorm norm_out_;
  Linear dense_out_;
};

}  // namespace

std::unique_ptr<Denoiser> make_transformer(const TransformerOptions& options,
                                           const TransformerShape& shape, const Scope& scope) {
  if (options.width % 2 != 0)
    throw UsageError("the width of a Transformer must be even, got ", options.width);
  return std::make_unique<Transformer>(options, shape, scope);
}

}  // namespace bitdiff
