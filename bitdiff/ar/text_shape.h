#pragma once

#include <cstdint>

namespace bitdiff {

/// How texts stand in a tensor of tokens [B, length]: the text, eos, then pad to the end of the
/// row. A text of `length` tokens or more has no eos.
struct TextShape {
  int64_t length;
  int64_t eos = -1;  ///< The token that ends a text; -1: every text fills its row.
  int64_t pad = 0;   ///< The token after eos; it may be eos itself.
};

}  // namespace bitdiff
