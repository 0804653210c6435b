#pragma once

#include <cstdint>
#include <memory>

#include "bitdiff/base/options.h"
#include "bitdiff/diffusion/denoiser.h"
#include "bitdiff/nn/parameters.h"
#include "bitdiff/nn/time_embedding.h"

namespace bitdiff {

/// How the bits of a position become its vector.
enum class BitEmbedding {
  kLinear,  ///< One linear layer.
  kMlp,     ///< Two, with GELU and a hidden width of mlp * width between them: codes that share no
            ///< meaning bit by bit, as those of tokens, are told apart before the first block.
  kTokens,  ///< kMlp, and a learned vector for each category, weighed by how likely x_t makes it;
            ///< the answer is products with the same vectors, as in autoregressive Transformers.
};

/// A Transformer that sees all positions of a sequence at once.
struct TransformerOptions {
  int64_t layers = 6;   ///< Blocks of attention and MLP.
  int64_t width = 512;  ///< Of a position's vector.
  int64_t heads = 8;    ///< Attention heads of each block.
  int64_t mlp = 4;      ///< Hidden width of the MLP, in units of width.
  double dropout = 0;   ///< Probability, on what attention and MLP add.
  BitEmbedding embedding = BitEmbedding::kLinear;
  int64_t neighbours = 0;  ///< Positions on each side whose vectors a linear layer mixes in.
  TimeInput time = TimeInput::kGamma;  ///< What the network is told of the noise.

  template <class Visitor>
  void visit(Visitor& v) {
    visit_size(v);
    v.choice("embedding", embedding,
             Words<BitEmbedding>{{"linear", BitEmbedding::kLinear},
                                 {"mlp", BitEmbedding::kMlp},
                                 {"tokens", BitEmbedding::kTokens}},
             "how the bits of a position become its vector: one layer, two with GELU between, or "
             "these and a vector for each category");
    v.number("neighbours", neighbours, between(0, 64),
             "positions on each side whose vectors are mixed in before the first block");
    v.choice("time", time, time_input_words(), "what the network is told of the noise");
  }

  /// All but what is about bits and time.
  template <class Visitor>
  void visit_size(Visitor& v) {
    v.number("layers", layers, at_least(1), "blocks of attention and MLP");
    v.number("width", width, at_least(2), "width of a position's vector, even");
    v.number("heads", heads, at_least(1), "attention heads of each block; they divide the width");
    v.number("mlp", mlp, at_least(1), "hidden width of the MLP, in units of width");
    v.number("dropout", dropout, between(0, 0.99), "dropout on what attention and MLP add");
  }
};

/// What a Transformer must fit.
struct TransformerShape {
  int64_t in_channels;        ///< C of x_t (and of x0_prev): the bits of a token.
  int64_t out_channels;       ///< C of the answer.
  int64_t length;             ///< Most positions of a sequence.
  int64_t classes = 0;        ///< 0: labels are ignored.
  int64_t context_width = 0;  ///< D of Condition::context, which blocks look at; 0: none.
  Tensor codes = {};          ///< float32 [K, C], the bits of each category; for kTokens.
};

/// A bidirectional Transformer with new parameters under `scope`: a Denoiser of float32
/// [B, in_channels, L], L <= length. Pre-norm blocks with learned positions; each normalisation is
/// scaled and shifted by the time (adaptive layer norm, Peebles & Xie, 2022), as in the U-Net.
/// Throws UsageError when the heads do not divide the width or the width is odd.
std::unique_ptr<Denoiser> make_transformer(const TransformerOptions& options,
                                           const TransformerShape& shape, const Scope& scope);

}  // namespace bitdiff
