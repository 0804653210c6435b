#include "bitdiff/ar/beam_search.h"

#include <cmath>
#include <limits>

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/where.h>
#include <c10/core/GradMode.h>

namespace bitdiff {
namespace {

constexpr double kNone = -std::numeric_limits<double>::infinity();  // log p of no text.

/// Rows of tokens [B, n, length] at `index` [B, m], as [B, m, length].
Tensor pick(const Tensor& tokens, const Tensor& index) {
  return tokens.gather(1, index.unsqueeze(2).expand({-1, -1, tokens.size(2)}));
}

/// The best complete text of each row so far.
struct Best {
  Tensor tokens;  ///< [B, length].
  Tensor score;   ///< [B], kNone where there is no text.

  /// `candidates`: [B, n, length] with `scores` [B, n].
  void keep(const Tensor& candidates, const Tensor& scores) {
    const auto [highest, index] = scores.max(1, /*keepdim=*/true);
    const auto better = highest.gt(score.unsqueeze(1));  // [B, 1]
    tokens = at::where(better, pick(candidates, index).squeeze(1), tokens);
    score = at::maximum(highest.squeeze(1), score);
  }
};

/// The texts that are being followed, the most likely of each row first.
struct Beam {
  Tensor tokens;  ///< [B, width, length].
  Tensor log_p;   ///< [B, width], kNone where there is no text.
  Tensor room;    ///< [B, 1]: how many texts there may be.

  /// Replaces texts by their best continuations, which differ from them at `position`. `logits`:
  /// [B width, K]. Returns the place of each text among those before, [B, width].
  Tensor extend(const Tensor& logits, int64_t position) {
    const int64_t width = log_p.size(1), categories = logits.size(1);
    const auto more = at::log_softmax(logits, 1).view({-1, width, categories});
    const auto all = (log_p.unsqueeze(2) + more).flatten(1);
    const auto [highest, place] = all.topk(width, 1, /*largest=*/true, /*sorted=*/true);

    auto parent = place.floor_divide(categories);
    tokens = pick(tokens, parent);
    tokens.select(2, position).copy_(place.remainder(categories));
    log_p = highest.masked_fill(at::arange(width, place.options()) >= room, kNone);
    return parent;
  }

  /// Takes texts away for good. `complete`: bool [B, width].
  void remove(const Tensor& complete) {
    room = room - (complete & log_p.gt(kNone)).sum(1, /*keepdim=*/true);
    log_p = log_p.masked_fill(complete, kNone);
  }

  bool empty() const { return log_p.eq(kNone).all().item<bool>(); }
};

}  // namespace

Tensor beam_search(const NextToken& net, const TextShape& text, int64_t rows, const Condition& cond,
                   const BeamOptions& options) {
  const c10::NoGradGuard no_grad;
  const int64_t width = options.width;
  const auto state = net.start(rows, cond);
  const auto first_row = at::arange(rows).unsqueeze(1) * width;  // Of each beam, among all texts.
  state->select(at::arange(rows * width).floor_divide(width));
  auto logits = next_logits(*state, {});

  // One empty text in each beam.
  const auto integers = logits.options().dtype(at::kLong);
  Beam beam{at::full({rows, width, text.length}, text.pad, integers),
            at::full({rows, width}, kNone, logits.options()), at::full({rows, 1}, width, integers)};
  beam.log_p.select(1, 0).zero_();
  Best best{at::full({rows, text.length}, text.pad, integers),
            at::full({rows}, kNone, logits.options())};

  for (int64_t position = 0; position < text.length; ++position) {
    const auto parent = beam.extend(logits, position);
    const auto token = beam.tokens.select(2, position);
    const bool full = position + 1 == text.length;
    const auto complete = full ? at::ones_like(token, at::kBool) : token.eq(text.eos);

    const double length = std::pow(position + 1, options.length_penalty);
    best.keep(beam.tokens, beam.log_p.masked_fill(~complete, kNone) / length);
    beam.remove(complete);
    if (beam.empty()) break;
    state->select((parent + first_row.to(parent.device())).flatten());
    logits = next_logits(*state, token.flatten());
  }
  return best.tokens;
}

}  // namespace bitdiff
