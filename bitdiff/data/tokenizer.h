#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace bitdiff {

/// Text as numbers (tokens) and back. Safe to use from several threads.
class Tokenizer {
 public:
  Tokenizer() = default;
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;
  virtual ~Tokenizer() = default;

  /// K: tokens are in [0, K).
  virtual int64_t size() const = 0;
  /// The token that ends a text.
  virtual int64_t eos() const = 0;
  /// The token that fills what is left after it; it may be eos itself.
  virtual int64_t pad() const = 0;
  /// What the tokenizer can be made from again; empty for bytes.
  virtual const std::string& model() const = 0;

  /// The tokens of a text, without eos and pad.
  virtual std::vector<int64_t> encode(const std::string& text) const = 0;
  /// The text of tokens, of which neither eos nor pad is shown. Throws InputError for a token
  /// outside [0, K).
  virtual std::string decode(std::span<const int64_t> tokens) const = 0;
};

/// The tokenizer that a config names: "bytes", or the file of a SentencePiece model. Throws
/// InputError.
///
/// Bytes: K = 256, eos is the line feed, pad the zero byte, neither of which a line of text holds.
std::shared_ptr<const Tokenizer> load_tokenizer(const std::string& name);

}  // namespace bitdiff
