#include "bitdiff/ar/ar_generate.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>

namespace bitdiff {
namespace {

/// The token at `position` of each row, int64 [B].
Tensor choose(const Tensor& logits, const DecodeOptions& options, const Streams& streams,
              int64_t position) {
  if (options.method == DecodeMethod::kGreedy) return logits.argmax(1);
  const auto u = streams.fork(Purpose::kToken, position).uniform({streams.size()});
  return sample_token(logits, options.sample, u.to(logits.device()));
}

}  // namespace

Tensor ar_generate(const NextToken& net, const TextShape& text, const Condition& cond,
                   const DecodeOptions& options, const Streams& streams) {
  const c10::NoGradGuard no_grad;
  const int64_t rows = streams.size();
  if (options.method == DecodeMethod::kBeam) {
    return beam_search(net, text, rows, cond, options.beam);
  }

  const auto state = net.start(rows, cond);
  auto logits = next_logits(*state, {});
  auto tokens = at::full({rows, text.length}, text.pad, logits.options().dtype(at::kLong));
  auto ended = at::zeros({rows}, logits.options().dtype(at::kBool));
  for (int64_t position = 0; position < text.length; ++position) {
    const auto token = choose(logits, options, streams, position);
    tokens.select(1, position).copy_(token.masked_fill(ended, text.pad));
    ended = ended | token.eq(text.eos);
    if (position + 1 == text.length || ended.all().item<bool>()) break;
    // Texts that have ended go on with the others, and nobody looks.
    logits = next_logits(*state, token);
  }
  return tokens;
}

}  // namespace bitdiff
