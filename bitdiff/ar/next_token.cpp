#include "bitdiff/ar/next_token.h"

#include <ATen/ops/isnan.h>

#include "bitdiff/base/error.h"

namespace bitdiff {

Tensor next_logits(DecodeState& state, const Tensor& token) {
  auto logits = state.next(token);
  const auto bad = at::isnan(logits).any(1).sum().item<int64_t>();
  if (bad == 0) return logits;
  throw NumbersError("the logits of ", bad, " of ", logits.size(0),
                     " texts are not numbers (NaN): the network has diverged, go back to an "
                     "earlier checkpoint");
}

}  // namespace bitdiff
