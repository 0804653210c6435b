#pragma once

#include <cstdint>
#include <optional>

#include "bitdiff/base/tensor.h"
#include "bitdiff/nn/layers.h"
#include "bitdiff/nn/parameters.h"

namespace bitdiff {

/// Layer normalisation; in a network that is told the time, norm(x) * (1 + scale) + shift with both
/// from the time (adaptive layer norm, Peebles & Xie, 2022).
struct BlockNorm {
  BlockNorm(int64_t width, bool timed, const Scope& scope);
  /// `x`: [B, L, D]. `time`: [B, D], or undefined when not timed.
  Tensor operator()(const Tensor& x, const Tensor& time) const;

  LayerNorm norm;
  std::optional<Linear> scale_shift;
};

/// A pre-norm block: self-attention, attention to a context if it has one, and an MLP with GELU,
/// each added to what came in (Vaswani et al., 2017; the order of Pix2Seq).
struct TransformerBlock {
  struct Shape {
    int64_t width;
    int64_t heads;
    int64_t mlp;            ///< Hidden width of the MLP, in units of width.
    double dropout;         ///< Probability, on what each part adds.
    bool timed;             ///< See BlockNorm.
    int64_t context_width;  ///< 0: no context.
    int64_t number;         ///< Of the block in its network; tells the dropouts apart.
  };
  /// What a causal block keeps of the positions it has seen, and of the context.
  struct Cache {
    KeyValue past;
    Tensor context;  ///< CrossAttention::look_at.
  };
  using Dropout = std::optional<Streams>;  ///< See Condition::dropout.

  TransformerBlock(const Shape& shape, const Scope& scope);

  /// [B, L, width] -> the same. `time`: [B, width] or undefined. `seen`: what `cross` made of the
  /// context (CrossAttention::look_at), or undefined where there is none.
  Tensor operator()(const Tensor& x, const Tensor& time, const Tensor& seen,
                    const Dropout& streams) const;

  /// The same without time where positions see those before them alone (SelfAttention::causal).
  /// `context` is looked at once, for an empty cache.
  Tensor causal(const Tensor& x, const Tensor& context, Cache& cache, const Dropout& streams) const;

  Shape shape;
  BlockNorm norm0;
  SelfAttention attention;
  std::optional<BlockNorm> norm_cross;
  std::optional<CrossAttention> cross;
  BlockNorm norm1;
  Linear dense0, dense1;

 private:
  template <class Self, class Context>
  Tensor run(Tensor x, const Tensor& time, const Dropout& streams, const Self& self,
             const Context& context) const;
};

}  // namespace bitdiff
