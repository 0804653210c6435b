#include "bitdiff/nn/transformer.h"

#include <optional>
#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/gelu.h>

#include "bitdiff/base/error.h"
#include "bitdiff/nn/layers.h"
#include "bitdiff/nn/transformer_block.h"

namespace bitdiff {
namespace {

class Transformer final : public Denoiser {
 public:
  Transformer(const TransformerOptions& options, const TransformerShape& shape, const Scope& scope)
      : time_(options.time, {options.width, options.width, shape.classes}, scope / "time"),
        dense_in_(2 * shape.in_channels, embedding_width(options), scope / "dense_in"),
        positions_(scope.add("positions", {shape.length, options.width})),
        norm_out_(options.width, scope / "norm_out"),
        dense_out_(options.width, shape.out_channels, scope / "dense_out", kSilentInit) {
    if (options.embedding == BitEmbedding::kMlp)
      dense_embed_.emplace(embedding_width(options), options.width, scope / "dense_embed");
    for (int64_t i = 0; i < options.layers; ++i)
      block_.emplace_back(TransformerBlock::Shape{.width = options.width,
                                                  .heads = options.heads,
                                                  .mlp = options.mlp,
                                                  .dropout = options.dropout,
                                                  .timed = true,
                                                  .context_width = shape.context_width,
                                                  .number = i},
                          scope / "block" / i);
  }

  Tensor forward(const Tensor& x_t, const Tensor& x0_prev, const Tensor& gamma,
                 const Condition& cond) const override {
    TORCH_CHECK(x_t.dim() == 3 && x_t.size(2) <= positions_.size(0),
                "Transformer: expected [B, C, L] with L at most ", positions_.size(0), ", got ",
                x_t.sizes());
    const auto time = time_(gamma, cond.label);
    const auto input = at::cat({x_t, x0_prev}, 1).transpose(1, 2);  // [B, L, 2 C]
    auto x = dense_in_(input);
    if (dense_embed_) x = (*dense_embed_)(at::gelu(x));
    x = x + positions_.slice(0, 0, x_t.size(2));
    const auto seen = cond.seen.empty() ? look(cond).seen : cond.seen;
    for (size_t i = 0; i < block_.size(); ++i)
      x = block_[i](x, time, seen.empty() ? Tensor() : seen[i], cond.dropout);
    return dense_out_(norm_out_(x)).transpose(1, 2).contiguous();
  }

  Condition look(const Condition& cond) const override {
    auto looked = cond;
    looked.seen.clear();
    if (!block_[0].cross) return looked;
    TORCH_CHECK(cond.context.defined(), "Transformer: expected a context, got none");
    for (const auto& block : block_) looked.seen.push_back(block.cross->look_at(cond.context));
    return looked;
  }

 private:
  static int64_t embedding_width(const TransformerOptions& options) {
    return options.embedding == BitEmbedding::kMlp ? options.mlp * options.width : options.width;
  }

  TimeEmbedding time_;
  Linear dense_in_;
  std::optional<Linear> dense_embed_;
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
