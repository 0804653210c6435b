#pragma once

#include <cstdint>
#include <memory>

#include "bitdiff/base/tensor.h"
#include "bitdiff/diffusion/denoiser.h"

namespace bitdiff {

/// Texts that a network is writing, one a row.
class DecodeState {
 public:
  DecodeState() = default;
  DecodeState(const DecodeState&) = delete;
  DecodeState& operator=(const DecodeState&) = delete;
  virtual ~DecodeState() = default;

  /// Adds a token to each text. `token`: int64 [rows]; undefined in the first call, when the texts
  /// are empty. Returns the logits of the token that follows, float32 [rows, K].
  virtual Tensor next(const Tensor& token) = 0;

  /// Makes row i what row rows[i] was. `rows`: int64 [new rows], which may repeat.
  virtual void select(const Tensor& rows) = 0;
};

/// A network that says what token follows, p(x_i | x_0, ..., x_(i-1)), of K categories.
class NextToken {
 public:
  NextToken() = default;
  NextToken(const NextToken&) = delete;
  NextToken& operator=(const NextToken&) = delete;
  virtual ~NextToken() = default;

  /// `tokens`: int64 [B, L] in [0, K). Returns logits, float32 [B, L, K]: at position i those of
  /// token i, given the tokens before it.
  virtual Tensor forward(const Tensor& tokens, const Condition& cond) const = 0;

  /// `rows` empty texts to be written one token at a time, without dropout: step by step what
  /// forward says at once. `cond`: of as many rows. The network must live as long.
  virtual std::unique_ptr<DecodeState> start(int64_t rows, const Condition& cond) const = 0;
};

/// state.next(token). Throws NumbersError when the logits hold a NaN.
Tensor next_logits(DecodeState& state, const Tensor& token);

}  // namespace bitdiff
