#pragma once

#include "bitdiff/diffusion/denoiser.h"
#include "bitdiff/diffusion/process.h"

namespace bitdiff {

/// How estimates of x_0 are made while sampling.
struct EstimateOptions {
  bool self_cond = true;
  double momentum = 0;
  double self_guidance = 1;
  double guidance = 0;
  double temperature = 1;
  bool bf16 = false;

  template <class Visitor>
  void visit(Visitor& v) {
    v.flag("self_cond", self_cond, "feed the previous estimate of x0 back to the network");
    v.number("momentum", momentum, between(0, 0.999),
             "share of the estimate fed before in the one fed now; 0: the last estimate alone");
    v.number("self_guidance", self_guidance, between(0, 100),
             "weight of the estimate with self-conditioning against the one without, at two calls "
             "of the network a step, whatever self_cond and momentum say; 1: off, one call");
    v.number("guidance", guidance, between(0, 100),
             "w of classifier-free guidance, (1 + w) * with label or image - w * without, at twice "
             "the calls; 0: off; wants diffusion.label_dropout in training");
    v.number("temperature", temperature, between(1e-3, 1e3),
             "what divides logits (head = softmax, loss = logistic or softmax) before x0 is "
             "estimated from them; below 1: surer estimates");
    v.flag("bf16", bf16, "bfloat16 inside the network, float32 weights and steps");
  }
};

/// Estimates of x_0 for one batch, call after call, each of which may see those before:
/// self-conditioning, with momentum Algorithm 5 of Chen et al. (2022), or self-guidance, Algorithm
/// 6, where the first of two calls makes the estimate for the second.
class Estimator {
 public:
  /// `process`, `net` and `cond` must live as long.
  Estimator(const Process& process, const Denoiser& net, const Condition& cond,
            const EstimateOptions& options);

  /// The estimate for `x_t`, float32 [B, C, *S], where the network is told gamma: the same shape,
  /// in +-codec.scale().
  Tensor operator()(const Tensor& x_t, double gamma);

 private:
  Tensor answer(const Tensor& x_t, const Tensor& x0_prev, const Tensor& gamma,
                const Condition& cond) const;
  Tensor predict(const Tensor& x_t, const Tensor& x0_prev, const Tensor& gamma) const;

  const Process& process_;
  const Denoiser& net_;
  const Condition& cond_;
  Condition hidden_;  ///< The same with nothing to see.
  EstimateOptions options_;
  Tensor x_pred_, x_cond_;  ///< The last estimate, and what the network was shown; or undefined.
};

}  // namespace bitdiff
