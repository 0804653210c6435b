#include "bitdiff/nn/transformer.h"

#include <optional>
#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/softmax.h>

#include "bitdiff/base/device.h"
#include "bitdiff/base/error.h"
#include "bitdiff/diffusion/likelihood.h"
#include "bitdiff/nn/layers.h"
#include "bitdiff/nn/token_vectors.h"
#include "bitdiff/nn/transformer_block.h"

namespace bitdiff {
namespace {

/// Each place of [B, L, D] beside the n before it and the n behind it, with zeros past the ends:
/// [B, L, (2 n + 1) D].
Tensor with_neighbours(const Tensor& x, int64_t n) {
  const auto padded = at::constant_pad_nd(x, {0, 0, n, n});
  std::vector<Tensor> shifted;
  for (int64_t i = 0; i <= 2 * n; ++i) shifted.push_back(padded.slice(1, i, i + x.size(1)));
  return at::cat(shifted, -1);
}

/// The vectors of tokens of which noisy bits are known.
struct NoisyTokens {
  /// `analog`: the bits of each token, float32 [K, C].
  NoisyTokens(const Tensor& analog, int64_t width, const Scope& scope)
      : vectors(analog.size(0), width, scope),
        bias_out(scope.add_filled("bias_out", {analog.size(0)}, 0)),
        prior(scope.add_filled("prior", {analog.size(0)}, 0)),
        codes(to_device(analog, prior.device())) {}

  /// The mean vector of the tokens that may be behind x_t [B, C, L], [B, L, width].
  Tensor seen_in(const Tensor& x_t, const Tensor& gamma) const {
    return vectors.mean(at::softmax(log_likelihood(codes, x_t, gamma) + prior, -1));
  }

  Tensor logits(const Tensor& state) const { return vectors.logits(state, bias_out); }

  TokenVectors vectors;
  Tensor bias_out;
  Tensor prior;  // Logits, learned.
  Tensor codes;
};

class Transformer final : public Denoiser {
 public:
  Transformer(const TransformerOptions& options, const TransformerShape& shape, const Scope& scope)
      : time_(options.time, {options.width, options.width, shape.classes}, scope / "time"),
        dense_in_(2 * shape.in_channels, embedding_width(options), scope / "dense_in"),
        neighbours_(options.neighbours),
        positions_(add_positions(options, shape.length, scope)),
        norm_out_(options.width, scope / "norm_out") {
    const bool has_tokens = options.embedding == BitEmbedding::kTokens;
    if (!has_tokens)
      dense_out_.emplace(options.width, shape.out_channels, scope / "dense_out", kSilentInit);
    if (options.embedding != BitEmbedding::kLinear)
      dense_embed_.emplace(embedding_width(options), options.width, scope / "dense_embed");
    if (has_tokens) tokens_.emplace(shape.codes, options.width, scope);
    if (neighbours_ > 0)
      dense_local_.emplace((2 * neighbours_ + 1) * options.width, options.width,
                           scope / "dense_local");
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
    if (tokens_) x = x + tokens_->seen_in(x_t, gamma);
    if (dense_local_) x = (*dense_local_)(with_neighbours(x, neighbours_));
    x = x + positions_.slice(0, 0, x_t.size(2));
    const auto seen = cond.seen.empty() ? look(cond).seen : cond.seen;
    for (size_t i = 0; i < block_.size(); ++i)
      x = block_[i](x, time, seen.empty() ? Tensor() : seen[i], cond.dropout);
    x = norm_out_(x);
    return (tokens_ ? tokens_->logits(x) : (*dense_out_)(x)).transpose(1, 2).contiguous();
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
  /// Beside the vectors of tokens, as large as they.
  static Tensor add_positions(const TransformerOptions& options, int64_t length,
                              const Scope& scope) {
    return options.embedding == BitEmbedding::kTokens
               ? add_vectors(scope, "positions", length, options.width, 0.25)
               : scope.add("positions", {length, options.width});
  }

  static int64_t embedding_width(const TransformerOptions& options) {
    return options.embedding == BitEmbedding::kLinear ? options.width : options.mlp * options.width;
  }

  TimeEmbedding time_;
  Linear dense_in_;
  std::optional<Linear> dense_embed_;
  std::optional<NoisyTokens> tokens_;
  std::optional<Linear> dense_local_;
  int64_t neighbours_;
  Tensor positions_;
  std::vector<TransformerBlock> block_;
  LayerNorm norm_out_;
  std::optional<Linear> dense_out_;
};

}  // namespace

std::unique_ptr<Denoiser> make_transformer(const TransformerOptions& options,
                                           const TransformerShape& shape, const Scope& scope) {
  if (options.width % 2 != 0)
    throw UsageError("the width of a Transformer must be even, got ", options.width);
  return std::make_unique<Transformer>(options, shape, scope);
}

}  // namespace bitdiff
