#pragma once

#include <memory>

#include "bitdiff/base/options.h"
#include "bitdiff/data/loader.h"
#include "bitdiff/metrics/small_net.h"
#include "bitdiff/train/adam.h"
#include "bitdiff/train/augment.h"

namespace bitdiff {

/// The section [train] of a config of features.
struct FeatureTrainOptions {
  int64_t steps = 1000;
  int64_t batch = 128;
  int64_t seed = 0;
  AdamOptions adam = {.lr = 3e-3};
  int64_t warmup = 100;
  double label_smoothing = 0.1;
  bool bf16 = false;
  AugmentOptions augment;

  template <class Visitor>
  void visit(Visitor& v) {
    v.number("steps", steps, at_least(1), "updates of the weights in all");
    v.number("batch", batch, at_least(1), "examples of an update");
    v.number("seed", seed, at_least(0), "of weights, order and changes to the images");
    adam.visit(v);
    v.number("warmup", warmup, at_least(0), "steps in which lr rises from 0; then a cosine to 0");
    v.number("label_smoothing", label_smoothing, between(0, 1), "probability of the other classes");
    v.flag("bf16", bf16, "bfloat16 inside the network, float32 weights");
    augment.visit(v);
  }
};

/// Trains a SmallNet to tell the classes of images apart; those of data without labels are the
/// images themselves (Dosovitskiy et al., 2014: exemplar networks): whatever is done to an image,
/// it is to be known again. Everything drawn is a function of (seed, step, row).
class FeatureTrainer {
 public:
  /// `data`: pictures (see is_picture). Throws UsageError when they are none.
  FeatureTrainer(const FeatureTrainOptions& options, const SmallNetOptions& net,
                 std::shared_ptr<const Dataset> data, const PassOptions& passes);

  /// One update; returns the loss. Throws NumbersError when loss or gradient is not finite.
  double update();

  /// The share, in [0, 1], of the `data` that is put right. With labels: whose class gets the best
  /// score. Without: of which one random view, among such views of all the others, is nearest in
  /// features to another view of it.
  double accuracy(const Dataset& data) const;

  int64_t step() const { return step_; }
  const SmallNet& net() const { return net_; }

 private:
  double correct_classes(const Dataset& data) const;
  double found_again(const Dataset& data) const;

  FeatureTrainOptions options_;
  bool labelled_;
  Loader loader_;
  SmallNet net_;
  Adam adam_;
  int64_t step_ = 0;
};

}  // namespace bitdiff
