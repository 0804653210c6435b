#include "bitdiff/model/loss.h"

#include <optional>

#include <ATen/TensorOperators.h>

#include "bitdiff/ar/ar_loss.h"
#include "bitdiff/base/device.h"
#include "bitdiff/data/tokenizer.h"
#include "bitdiff/diffusion/train_loss.h"

namespace bitdiff {
namespace {

/// float32 [B, 1, L], on the device of `streams`: 1 up to the first eos and with it, pad_weight
/// after it; or undefined where all weigh the same.
Tensor weight_of(const Model& model, const Tensor& x, const Streams& streams) {
  const auto& text = model.data.text;
  const double pad_weight = model.process.pad_weight;
  if (!text.tokenizer || !text.lines || pad_weight == 1) return {};
  const auto padding =
      to_device(is_padding(x, text.tokenizer->eos()), streams.device()).to(at::kFloat);
  return 1 - (1 - pad_weight) * padding;
}

Tensor moved(const Tensor& t, const Streams& streams) {
  return t.defined() ? to_device(t, streams.device()) : t;
}

}  // namespace

BatchLoss model_loss(const Model& model, const Batch& batch, const Streams& streams,
                     int64_t self_cond_rows, bool dropout) {
  const auto cond = batch_condition(model, batch, streams, dropout);
  if (model.next_token) {
    const int64_t eos = model.text_shape().eos;
    return {ar_loss(*model.next_token, moved(batch.x, streams), cond, {.eos = eos}),
            count_tokens(batch.x, eos)};
  }
  return {train_loss(model.process, *model.net, batch.x, cond, streams, self_cond_rows,
                     weight_of(model, batch.x, streams)),
          batch.x.size(0)};
}

Tensor model_loss_at(const Model& model, const Process& process, const Denoiser& net,
                     const Batch& batch, const Condition& cond, const Tensor& gamma,
                     const Streams& streams, int64_t self_cond_rows) {
  return loss_at(process, net, batch.x, cond, gamma, streams, self_cond_rows,
                 weight_of(model, batch.x, streams));
}

Condition batch_condition(const Model& model, const Batch& batch, const Streams& streams,
                          bool dropout) {
  std::optional<Streams> draws;
  if (dropout) draws = streams;
  return model.condition_of(moved(batch.label, streams), moved(batch.image, streams), draws);
}

}  // namespace bitdiff
