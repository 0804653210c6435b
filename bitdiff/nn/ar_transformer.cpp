#include "bitdiff/nn/ar_transformer.h"

#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <c10/util/Exception.h>

#include "bitdiff/nn/layers.h"
#include "bitdiff/nn/token_vectors.h"
#include "bitdiff/nn/transformer_block.h"

namespace bitdiff {
namespace {

class ArTransformer final : public NextToken {
 public:
  using Cache = std::vector<TransformerBlock::Cache>;  // Of each block.

  ArTransformer(const TransformerOptions& options, const ArTransformerShape& shape,
                const Scope& scope)
      : tokens_(shape.categories, options.width, scope),
        start_(add_vectors(scope, "start", 1, options.width, 0.25)),
        positions_(add_vectors(scope, "positions", shape.length, options.width, 0.25)),
        norm_out_(options.width, scope / "norm_out"),
        bias_out_(scope.add_filled("bias_out", {shape.categories}, 0)) {
    for (int64_t i = 0; i < options.layers; ++i)
      block_.emplace_back(TransformerBlock::Shape{.width = options.width,
                                                  .heads = options.heads,
                                                  .mlp = options.mlp,
                                                  .dropout = options.dropout,
                                                  .timed = false,
                                                  .context_width = shape.context_width,
                                                  .number = i},
                          scope / "block" / i);
  }

  Tensor forward(const Tensor& tokens, const Condition& cond) const override {
    TORCH_CHECK(tokens.dim() == 2, "ArTransformer: expected tokens [B, L], got ", tokens.sizes());
    const auto before = embed(tokens.slice(1, 0, -1));  // [B, L - 1, width]
    Cache cache(block_.size());
    return logits(at::cat({starts(tokens.size(0)), before}, 1), 0, cond, cache);
  }

  std::unique_ptr<DecodeState> start(int64_t rows, const Condition& cond) const override;

  /// What blocks keep of `context` before the first token.
  Cache empty_cache(const Tensor& context) const {
    Cache cache(block_.size());
    for (size_t i = 0; i < block_.size(); ++i)
      if (block_[i].cross) cache[i].context = block_[i].cross->look_at(context);
    return cache;
  }

  /// The vectors of tokens [B, L], [B, L, width].
  Tensor embed(const Tensor& tokens) const { return tokens_.of(tokens); }

  Tensor starts(int64_t rows) const { return start_.expand({rows, 1, -1}); }

  /// What follows the vectors `x` [B, L, width], the first of which stands at `position`, behind
  /// those in `cache`: float32 [B, L, K].
  Tensor logits(Tensor x, int64_t position, const Condition& cond, Cache& cache) const {
    const int64_t end = position + x.size(1);
    TORCH_CHECK(end <= positions_.size(0), "ArTransformer: expected at most ", positions_.size(0),
                " tokens, got ", end);
    x = x + positions_.slice(0, position, end);
    for (size_t i = 0; i < block_.size(); ++i)
      x = block_[i].causal(x, cond.context, cache[i], cond.dropout);
    return tokens_.logits(norm_out_(x), bias_out_).to(at::kFloat);
  }

 private:
  TokenVectors tokens_;
  Tensor start_;      // [1, width]
  Tensor positions_;  // [length, width]
  std::vector<TransformerBlock> block_;
  LayerNorm norm_out_;
  Tensor bias_out_;
};

class State final : public DecodeState {
 public:
  State(const ArTransformer& net, int64_t rows, const Condition& cond)
      : net_(net),
        cond_{.label = {}, .context = cond.context, .dropout = {}},
        cache_(net.empty_cache(cond.context)),
        cond_row_(at::arange(rows)) {}

  Tensor next(const Tensor& token) override {
    const auto x =
        token.defined() ? net_.embed(token.unsqueeze(1)) : net_.starts(cond_row_.size(0));
    return net_.logits(x, length_++, cond_, cache_).squeeze(1);
  }

  void select(const Tensor& rows) override {
    const auto cond_row = cond_row_.index_select(0, rows.cpu());
    // A text that goes on from another one of the same row, as in beam search, looks at the same.
    const bool same_context = cond_row.equal(cond_row_);
    cond_row_ = cond_row;
    for (auto& [past, context] : cache_) {
      take(past.key, rows);
      take(past.value, rows);
      if (!same_context) take(context, rows);
    }
  }

 private:
  static void take(Tensor& seen, const Tensor& rows) {
    if (seen.defined()) seen = seen.index_select(0, rows.to(seen.device()));
  }

  const ArTransformer& net_;
  Condition cond_;
  ArTransformer::Cache cache_;
  Tensor cond_row_;  // int64 [rows]: the row of the condition that each text is written for.
  int64_t length_ = 0;
};

std::unique_ptr<DecodeState> ArTransformer::start(int64_t rows, const Condition& cond) const {
  return std::make_unique<State>(*this, rows, cond);
}

}  // namespace

std::unique_ptr<NextToken> make_ar_transformer(const TransformerOptions& options,
                                               const ArTransformerShape& shape,
                                               const Scope& scope) {
  return std::make_unique<ArTransformer>(options, shape, scope);
}

}  // namespace bitdiff
