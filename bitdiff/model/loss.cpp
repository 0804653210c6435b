#include "bitdiff/model/loss.h"

#include <optional>

#include <ATen/TensorOperators.h>

#include "bitdiff/ar/ar_loss.h"
#include "bitdiff/data/tokenizer.h"
#include "bitdiff/diffusion/train_loss.h"

namespace bitdiff {
namespace {

/// float32 [B, 1, L]: 1 up to the first eos and with it, pad_weight after it; or undefined where
/// all weigh the same.
Tensor weight_of(const Model& model, const Tensor& x) {
  const auto& text = model.data.text;
  const double pad_weight = model.process.pad_weight;
  if (!text.tokenizer || !text.lines || pad_weight == 1) return {};
  return 1 - (1 - pad_weight) * is_padding(x, text.tokenizer->eos()).to(at::kFloat);
}

}  // namespace

Tensor model_loss(const Model& model, const Batch& batch, const Streams& streams,
                  int64_t self_cond_rows, bool dropout) {
  const auto there = [&](const Tensor& t) { return t.defined() ? t.to(streams.device()) : t; };
  std::optional<Streams> draws;
  if (dropout) draws = streams;
  const auto cond = model.condition_of(there(batch.label), there(batch.image), draws);
  if (model.next_token) {
    return ar_loss(*model.next_token, there(batch.x), cond, {.eos = model.text_shape().eos});
  }
  return train_loss(model.process, *model.net, batch.x, cond, streams, self_cond_rows,
                    there(weight_of(model, batch.x)));
}

}  // namespace bitdiff
