#pragma once

#include <cstdint>

#include "bitdiff/base/options.h"
#include "bitdiff/base/tensor.h"

namespace bitdiff {

/// Which distribution a token is drawn from: softmax(logits / temperature), of which only the
/// `top_k` most likely tokens are kept, and of those, taken again as a distribution, the fewest
/// that hold a probability of `top_p` together (nucleus sampling, Holtzman et al., 2020).
struct SampleTokenOptions {
  double temperature = 1;
  int64_t top_k = 0;
  double top_p = 1;

  template <class Visitor>
  void visit(Visitor& v) {
    v.number("temperature", temperature, between(1e-3, 1e3),
             "what method sample divides logits by; below 1: likely tokens more often");
    v.number("top_k", top_k, at_least(0),
             "how many of the most likely tokens method sample draws from; 0: all");
    v.number("top_p", top_p, between(1e-6, 1),
             "method sample draws from the likeliest tokens with this probability together");
  }
};

/// A token of each row, int64 [B]. `logits`: float32 [B, K]. `u`: uniform in [0, 1), [B].
Tensor sample_token(const Tensor& logits, const SampleTokenOptions& options, const Tensor& u);

}  // namespace bitdiff
