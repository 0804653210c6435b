#pragma once

#include "bitdiff/base/options.h"
#include "bitdiff/base/tensor.h"
#include "bitdiff/bits/codec.h"
#include "bitdiff/diffusion/schedule.h"

namespace bitdiff {

/// What the network answers with.
enum class Prediction { kX0, kEps, kV };

/// What a network that predicts x0 says of each value.
enum class Head {
  kBits,
  kSoftmax,    ///< Logits of all its categories: the softmax factorization of section 3.1.
  kPosterior,  ///< The same of what the other places say; x_t of the place itself is added to them
               ///< by Bayes' rule, for what noise makes of a code is known.
};

/// How far an answer is from its target.
enum class Loss {
  kL2,
  kLogistic,  ///< Answers are logits of the bits of x_0.
  kSoftmax,   ///< Answers are logits of the categories: Head::kSoftmax or one-hot bits.
};

struct ProcessOptions {
  Prediction prediction = Prediction::kX0;
  Head head = Head::kBits;
  Loss loss = Loss::kL2;
  double self_cond_rate = 0.5;
  double label_dropout = 0;
  double pad_weight = 1;

  template <class Visitor>
  void visit(Visitor& v) {
    v.choice("prediction", prediction,
             Words<Prediction>{
                 {"x0", Prediction::kX0}, {"eps", Prediction::kEps}, {"v", Prediction::kV}},
             "what the network predicts");
    v.choice(
        "head", head,
        Words<Head>{
            {"bits", Head::kBits}, {"softmax", Head::kSoftmax}, {"posterior", Head::kPosterior}},
        "the network answers with bits, or with logits of all categories (x0 only), to which "
        "posterior adds what a value's own noisy bits say of it");
    v.choice(
        "loss", loss,
        Words<Loss>{{"l2", Loss::kL2}, {"logistic", Loss::kLogistic}, {"softmax", Loss::kSoftmax}},
        "mean squared error, or cross-entropy of each bit or of the categories (x0 only)");
    v.number("self_cond_rate", self_cond_rate, between(0, 1),
             "share of a training batch that sees its own estimate; 0 turns self-conditioning off");
    v.number(
        "label_dropout", label_dropout, between(0, 1),
        "probability with which training hides a label or image, for classifier-free guidance");
    v.number("pad_weight", pad_weight, between(0, 1),
             "weight in the loss of what comes after the end of a sentence");
  }
};

/// What turns data into noise and back: the codec, the schedule and the meaning of the network's
/// answer. A value; the network itself is a Denoiser.
struct Process {
  Codec codec;
  Schedule gamma = Schedule();
  Prediction prediction = Prediction::kX0;
  Head head = Head::kBits;
  Loss loss = Loss::kL2;
  double self_cond_rate = 0.5;
  double label_dropout = 0;
  double pad_weight = 1;  ///< For whoever makes the weights that loss_of takes.

  /// Of the network's answer: a channel for each bit, or for each category.
  int64_t out_channels() const;
};

/// x_t = sqrt(gamma) * x_0 + sqrt(1 - gamma) * eps. `gamma`: float64 [B].
Tensor corrupt(const Tensor& x_0, const Tensor& eps, const Tensor& gamma);

/// What the network should answer: x_0, eps, or v = sqrt(gamma) * eps - sqrt(1 - gamma) * x_0.
Tensor target_of(Prediction prediction, const Tensor& x_0, const Tensor& eps, const Tensor& gamma);

/// The mean loss of the network's answer `out`: a scalar. Over all bits, their squared error or
/// -log sigmoid(out * x_0 / scale); over all values, the cross-entropy of their categories
/// (sections B.2 and B.3 of Chen et al., 2022). With a head of categories the squared error is that
/// of the bits' expectation. `weight`: float32 [B, 1, *S], which multiplies the loss of each place
/// before the mean; or undefined. `x`: the integers [B, C, *S] that x_0 stands for, on its device;
/// undefined: they are decoded, for which a GPU is waited for.
Tensor loss_of(const Process& process, const Tensor& out, const Tensor& x_0, const Tensor& eps,
               const Tensor& gamma, const Tensor& weight = {}, const Tensor& x = {});

/// The estimate of x_0 in the network's answer `out` for `x_t`, clipped to [-scale, scale] as in
/// the authors' code: an estimate outside the bits' range would be fed back and grow. Of logits it
/// is the expectation of the bits, such as (2 sigmoid(out) - 1) * scale, where `temperature`
/// divides the logits: near 0 it is the bits of the likeliest category.
Tensor estimate_x0(const Process& process, const Tensor& out, const Tensor& x_t,
                   const Tensor& gamma, double temperature = 1);

}  // namespace bitdiff
