#pragma once

#include "bitdiff/base/options.h"
#include "bitdiff/base/tensor.h"
#include "bitdiff/bits/codec.h"
#include "bitdiff/diffusion/schedule.h"

namespace bitdiff {

/// What the network answers with.
enum class Prediction { kX0, kEps, kV };

/// How far an answer is from its target.
enum class Loss {
  kL2,
  kLogistic,  ///< Answers are logits of the bits of x_0.
};

struct ProcessOptions {
  Prediction prediction = Prediction::kX0;
  Loss loss = Loss::kL2;
  double self_cond_rate = 0.5;

  template <class Visitor>
  void visit(Visitor& v) {
    v.choice("prediction", prediction,
             Words<Prediction>{
                 {"x0", Prediction::kX0}, {"eps", Prediction::kEps}, {"v", Prediction::kV}},
             "what the network predicts");
    v.choice("loss", loss, Words<Loss>{{"l2", Loss::kL2}, {"logistic", Loss::kLogistic}},
             "mean squared error, or cross-entropy of each bit (x0 only)");
    v.number("self_cond_rate", self_cond_rate, between(0, 1),
             "share of a training batch that sees its own estimate; 0 turns self-conditioning off");
  }
};

/// What turns data into noise and back: the codec, the schedule and the meaning of the network's
/// answer. A value; the network itself is a Denoiser.
struct Process {
  Codec codec;
  Schedule gamma = Schedule();
  Prediction prediction = Prediction::kX0;
  Loss loss = Loss::kL2;
  double self_cond_rate = 0.5;
};

/// x_t = sqrt(gamma) * x_0 + sqrt(1 - gamma) * eps. `gamma`: float64 [B].
Tensor corrupt(const Tensor& x_0, const Tensor& eps, const Tensor& gamma);

/// What the network should answer: x_0, eps, or v = sqrt(gamma) * eps - sqrt(1 - gamma) * x_0.
Tensor target_of(Prediction prediction, const Tensor& x_0, const Tensor& eps, const Tensor& gamma);

/// The mean over all bits of the loss of the network's answer `out`: a scalar. The logistic one is
/// -log sigmoid(out * x_0 / scale) (section B.2 of Chen et al., 2022).
Tensor loss_of(const Process& process, const Tensor& out, const Tensor& x_0, const Tensor& eps,
               const Tensor& gamma);

/// The estimate of x_0 in the network's answer `out` for `x_t`, clipped to [-scale, scale] as in
/// the authors' code: an estimate outside the bits' range would be fed back and grow. Of logits it
/// is the mean of the bit, (2 sigmoid(out) - 1) * scale.
Tensor estimate_x0(const Process& process, const Tensor& out, const Tensor& x_t,
                   const Tensor& gamma);

}  // namespace bitdiff
