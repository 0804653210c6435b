#pragma once

#include <cstdint>

#include "bitdiff/ar/next_token.h"
#include "bitdiff/ar/text_shape.h"
#include "bitdiff/base/options.h"
#include "bitdiff/base/tensor.h"

namespace bitdiff {

struct BeamOptions {
  int64_t width = 4;
  double length_penalty = 1;

  template <class Visitor>
  void visit(Visitor& v) {
    v.number("beam", width, between(1, 1000), "how many texts method beam follows at a time");
    v.number("length_penalty", length_penalty, between(0, 10),
             "method beam wants the highest log p / length^length_penalty; more: longer texts");
  }
};

/// A likely text of each row, int64 [rows, text.length], by beam search.
///
/// Of all texts that continue a row's beam by one token the most likely ones stay. One that ends
/// leaves, and the beam is narrower from then on (Sutskever et al., 2014), so that a width of 1 is
/// the greedy choice and a row is done after `width` texts. Of those, and of the ones that reach
/// the full length, the answer has the highest log p / length^length_penalty, where the length
/// counts eos. `cond`: of `rows` rows, which are searched together and do not affect each other.
/// Throws NumbersError when the network answers with NaN.
Tensor beam_search(const NextToken& net, const TextShape& text, int64_t rows, const Condition& cond,
                   const BeamOptions& options);

}  // namespace bitdiff
