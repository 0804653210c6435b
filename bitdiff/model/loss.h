#pragma once

#include <cstdint>

#include "bitdiff/data/dataset.h"
#include "bitdiff/model/model.h"

namespace bitdiff {

/// A mean, and of how many: rows of a batch, or tokens where the model is autoregressive. Of a
/// batch in pieces the mean is that of the pieces' means, each as often as its count.
struct BatchLoss {
  Tensor mean;  ///< A scalar.
  int64_t count = 0;
};

/// What training makes small: train_loss (Algorithm 1 of Chen et al., 2022) of a batch, or ar_loss
/// where the model is autoregressive.
///
/// What comes after the end of a line of text weighs Process::pad_weight. `self_cond_rows`: how
/// many rows, from the first, see their own estimate. `dropout`: whether to drop out as in
/// training. All that is drawn is a function of each row's stream in `streams`.
BatchLoss model_loss(const Model& model, const Batch& batch, const Streams& streams,
                     int64_t self_cond_rows, bool dropout);

/// The same of a denoiser at a level of noise for each row, gamma float64 [B] in (0, 1], and
/// without dropout. `cond`: of the batch (Model::condition_of). `process` and `net` may be others
/// than the model's own, over the same codec.
Tensor model_loss_at(const Model& model, const Process& process, const Denoiser& net,
                     const Batch& batch, const Condition& cond, const Tensor& gamma,
                     const Streams& streams, int64_t self_cond_rows);

/// What the examples of a batch are conditioned on, on the device of `streams`; with dropout as in
/// training, or without.
Condition batch_condition(const Model& model, const Batch& batch, const Streams& streams,
                          bool dropout);

}  // namespace bitdiff
