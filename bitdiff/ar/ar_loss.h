#pragma once

#include <cstdint>

#include "bitdiff/ar/next_token.h"
#include "bitdiff/base/tensor.h"

namespace bitdiff {

/// Of tokens [..., L]: which stand after the first `eos` of their row; bool [..., L].
Tensor is_padding(const Tensor& tokens, int64_t eos);

/// How many tokens [..., L] stand before their row's padding: those that ar_loss is the mean of.
int64_t count_tokens(const Tensor& tokens, int64_t eos);

struct ArLossOptions {
  int64_t eos = -1;  ///< The token that ends a text; -1: every text fills its row.
};

/// The mean of -log p(x_i | x_0, ..., x_(i-1)) over the tokens of all rows up to their first eos
/// and with it; what fills a row after that is not asked for. (The authors' code counts it.)
///
/// `tokens`: integers [B, L] or [B, 1, L]. Returns a scalar with gradient, in nats.
Tensor ar_loss(const NextToken& net, const Tensor& tokens, const Condition& cond,
               const ArLossOptions& options);

}  // namespace bitdiff
