#pragma once

#include <cstdint>
#include <string>

#include "bitdiff/base/tensor.h"
#include "bitdiff/nn/parameters.h"

namespace bitdiff {

/// A new parameter [count, width] whose numbers have this variance.
Tensor add_vectors(const Scope& scope, const std::string& name, int64_t count, int64_t width,
                   double variance);

/// A learned vector for each of K categories, which stands for it in what goes into a network and
/// in what comes out (Press & Wolf, 2017): what is learned of a word as an answer is known of it
/// as context.
struct TokenVectors {
  TokenVectors(int64_t categories, int64_t width, const Scope& scope);

  Tensor of(const Tensor& tokens) const;  ///< int64 [B, L] -> [B, L, width].
  Tensor mean(const Tensor& p) const;     ///< Probabilities [B, L, K] -> [B, L, width].
  /// Normalised [B, L, width] -> [B, L, K]. `bias`: [K].
  Tensor logits(const Tensor& state, const Tensor& bias) const;

  double scale_in;
  Tensor embedding;  // [K, width]
};

}  // namespace bitdiff
