#pragma once

#include <vector>

#include "bitdiff/base/options.h"
#include "bitdiff/io/named_tensors.h"

namespace bitdiff {

struct AdamOptions {
  double lr = 1e-4;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0;  ///< Decoupled, as AdamW.
  double clip = 1;          ///< Bound on the norm of the whole gradient; 0: none.

  template <class Visitor>
  void visit(Visitor& v) {
    v.number("lr", lr, between(0, 10), "learning rate after warm-up");
    v.number("beta1", beta1, between(0, 1), "decay of the gradient's mean");
    v.number("beta2", beta2, between(0, 1), "decay of the gradient's mean square");
    v.number("eps", eps, between(0, 1), "added to the root of the mean square");
    v.number("weight_decay", weight_decay, between(0, 10), "decoupled weight decay (AdamW)");
    v.number("clip", clip, at_least(0), "bound on the gradient's norm; 0: none");
  }
};

/// Adam (Kingma & Ba, 2015) with decoupled weight decay, in one pass over each parameter.
class Adam {
 public:
  Adam(const AdamOptions& options, NamedTensors parameters);

  /// Updates the parameters from their gradients, divided by `count` and clipped to options.clip,
  /// at learning rate `lr`. Clears the gradients. Returns the divided gradient's norm before
  /// clipping; if it is not finite, nothing is updated.
  double step(double lr, double count = 1);

  /// The moments by name ("<parameter>.mean", "<parameter>.square") and "step": handles, so that
  /// writing into them changes the state.
  NamedTensors state() const;

 private:
  AdamOptions options_;
  NamedTensors parameters_;
  std::vector<Tensor> values_;
  std::vector<Tensor> means_;
  std::vector<Tensor> squares_;
  std::vector<Tensor> steps_;  ///< The same tensor for all: the kernel wants one each.
};

}  // namespace bitdiff
