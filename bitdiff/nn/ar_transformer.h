#pragma once

#include <cstdint>
#include <memory>

#include "bitdiff/ar/next_token.h"
#include "bitdiff/nn/parameters.h"
#include "bitdiff/nn/transformer.h"

namespace bitdiff {

/// What an autoregressive Transformer must fit.
struct ArTransformerShape {
  int64_t categories;         ///< K of the tokens.
  int64_t length;             ///< Most positions of a sequence.
  int64_t context_width = 0;  ///< D of Condition::context, which blocks look at; 0: none.
};

/// A causal Transformer with new parameters under `scope`: the autoregressive decoder that Chen et
/// al. (2022) compare with, which differs from make_transformer's by its masks alone. Tokens go in
/// and out by one embedding (Press & Wolf, 2017; Pix2Seq), behind a learned start vector. Labels
/// and `options.time` do not matter. Throws UsageError when the heads do not divide the width.
std::unique_ptr<NextToken> make_ar_transformer(const TransformerOptions& options,
                                               const ArTransformerShape& shape, const Scope& scope);

}  // namespace bitdiff
