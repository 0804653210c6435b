#pragma once

#include <memory>

#include <ATen/TensorIndexing.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/log.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros.h>

#include "bitdiff/ar/next_token.h"
#include "bitdiff/base/random.h"

namespace bitdiff {

/// A NextToken whose distribution is known: a token depends on the two before it and on the label
/// of its row.
class MarkovChain final : public NextToken {
 public:
  /// `p`: [labels, K + 1, K + 1, K], the probabilities of a token after the last but one and the
  /// last, where K stands for none. Rows without a label have label 0.
  explicit MarkovChain(const Tensor& p)
      // An offset, which no distribution depends on.
      : logits_(at::log(p).to(at::kFloat) + 3) {}

  /// Uneven probabilities without pattern.
  static MarkovChain random(int64_t labels, int64_t categories, uint64_t seed = 0) {
    const int64_t k = categories;
    const auto z = Streams(seed, {0}).normal({1, labels * (k + 1) * (k + 1) * k});
    return MarkovChain(at::softmax(z.view({labels, k + 1, k + 1, k}) * 1.5, 3));
  }

  int64_t categories() const { return logits_.size(3); }

  Tensor forward(const Tensor& tokens, const Condition& cond) const override {
    const int64_t rows = tokens.size(0), length = tokens.size(1);
    const auto none = at::full({rows, 2}, categories(), at::kLong);
    const auto before = at::cat({none, tokens}, 1);
    return logits_.index({label_of(cond, rows).unsqueeze(1), before.slice(1, 0, length),
                          before.slice(1, 1, length + 1)});
  }

  std::unique_ptr<DecodeState> start(int64_t rows, const Condition& cond) const override {
    return std::make_unique<State>(*this, label_of(cond, rows));
  }

  /// log p of tokens [B, L], float64 [B]; after the first `eos` of a row anything may come.
  Tensor log_p(const Tensor& tokens, int64_t eos, const Condition& cond = {}) const {
    const auto log_p = at::log_softmax(forward(tokens, cond).to(at::kDouble), 2);
    const auto each = log_p.gather(2, tokens.unsqueeze(2)).squeeze(2);
    return each.masked_fill(after_eos(tokens, eos), 0).sum(1);
  }

  /// Which tokens stand after the first `eos` of their row.
  static Tensor after_eos(const Tensor& tokens, int64_t eos) {
    const auto is_eos = tokens.eq(eos).to(at::kLong);
    return (is_eos.cumsum(1) - is_eos).gt(0);
  }

  /// All texts of `length` tokens, once each: [N, length], eos and then pad in those that end.
  Tensor all_texts(int64_t length, int64_t eos, int64_t pad) const {
    auto texts = at::zeros({1, 0}, at::kLong);
    for (int64_t i = 0; i < length; ++i) {
      const auto token = at::arange(categories()).repeat({texts.size(0)}).unsqueeze(1);
      texts = at::cat({texts.repeat_interleave(categories(), 0), token}, 1);
    }
    const auto after = after_eos(texts, eos);
    // Of those that differ behind eos alone, the one with zeros there.
    const auto first = (after & texts.ne(0)).any(1).logical_not();
    return texts.masked_fill(after, pad).index({first});
  }

  /// How often DecodeState::next was called.
  int64_t steps() const { return steps_; }

 private:
  class State final : public DecodeState {
   public:
    State(const MarkovChain& chain, const Tensor& label)
        : chain_(chain),
          label_(label),
          before_(at::full(label.sizes(), chain.categories(), at::kLong)),
          last_(before_) {}

    Tensor next(const Tensor& token) override {
      ++chain_.steps_;
      if (token.defined()) {
        before_ = last_;
        last_ = token;
      }
      return chain_.logits_.index({label_, before_, last_});
    }

    void select(const Tensor& rows) override {
      for (auto* kept : {&label_, &before_, &last_}) *kept = kept->index_select(0, rows);
    }

   private:
    const MarkovChain& chain_;
    Tensor label_, before_, last_;
  };

  static Tensor label_of(const Condition& cond, int64_t rows) {
    return cond.label.defined() ? cond.label : at::zeros({rows}, at::kLong);
  }

  Tensor logits_;
  mutable int64_t steps_ = 0;
};

}  // namespace bitdiff
