#pragma once

#include <functional>
#include <memory>

#include "bitdiff/data/loader.h"
#include "bitdiff/dist/gradient_sum.h"
#include "bitdiff/dist/group.h"
#include "bitdiff/model/checkpoint.h"
#include "bitdiff/model/model.h"
#include "bitdiff/train/adam.h"
#include "bitdiff/train/ema.h"

namespace bitdiff {

/// How the learning rate falls after warm-up.
enum class LrDecay { kNone, kLinear, kCosine };

struct TrainOptions {
  int64_t steps = 100000;
  int64_t batch = 128;
  int64_t accumulate = 1;  ///< Pieces of a process's share of a batch, one after the other.
  int64_t seed = 0;
  AdamOptions adam;
  int64_t warmup = 0;
  LrDecay decay = LrDecay::kNone;
  double ema = 0.9999;
  bool bf16 = false;
  int64_t save_every = 1000;
  int64_t keep = 3;
  int64_t sample_every = 0;
  int64_t eval_every = 0;

  template <class Visitor>
  void visit(Visitor& v) {
    v.number("steps", steps, at_least(0), "updates of the weights in all");
    v.number("batch", batch, at_least(1), "examples of an update, over all processes");
    v.number("accumulate", accumulate, at_least(1),
             "pieces of a process's share of a batch, to save memory");
    v.number("seed", seed, at_least(0), "of weights, order, times and noise");
    adam.visit(v);
    v.number("warmup", warmup, at_least(0), "steps in which lr rises from 0");
    v.choice(
        "decay", decay,
        Words<LrDecay>{
            {"none", LrDecay::kNone}, {"linear", LrDecay::kLinear}, {"cosine", LrDecay::kCosine}},
        "how lr falls to 0 at the last step");
    v.number("ema", ema, between(0, 1), "decay of the weights' moving average");
    v.flag("bf16", bf16, "bfloat16 inside the network, float32 weights");
    v.number("save_every", save_every, at_least(1), "steps between checkpoints");
    v.number("keep", keep, at_least(1), "checkpoints kept, newest first");
    v.number("sample_every", sample_every, at_least(0), "steps between sample sheets; 0: none");
    v.number("eval_every", eval_every, at_least(0), "steps between held-out losses; 0: none");
  }
};

/// The learning rate of update `step`, counted from 0.
double lr_at(int64_t step, const TrainOptions& options);

/// Trains a model, in data parallel over the processes of a group, each of which has a Trainer that
/// makes the same calls. Everything it draws is a function of (seed, step, row): where it is
/// stopped and resumed leaves no trace in the weights, and how many processes share a batch none
/// but the order in which gradients are summed. On a GPU LibTorch's libraries sum in any order and
/// choose their algorithms anew at each start, so that two runs may differ in their last bits.
class Trainer {
 public:
  /// `model`, the same everywhere, and `group` must live as long. Throws UsageError unless the
  /// processes, times accumulate, divide batch.
  Trainer(const TrainOptions& options, Model& model, std::shared_ptr<const Dataset> data,
          const PassOptions& passes, Group& group);

  struct Update {
    double loss = 0;
    double grad_norm = 0;
    double lr = 0;
    bool stop = false;  ///< Whether any process was told to stop.
  };
  /// One update of weights and average. `told_to_stop` is asked once in it. Throws NumbersError, in
  /// all processes, when loss or gradient is not finite; the weights are then those before.
  Update update(const std::function<bool()>& told_to_stop = {});

  /// Updates so far.
  int64_t step() const { return step_; }

  /// The mean loss of the averaged weights on `data`, with the same times and noise at each call.
  double evaluate(const Dataset& data);

  Ema& ema() { return ema_; }

  /// Everything but the config.
  Checkpoint checkpoint() const;
  /// Continues from a checkpoint. `where` names it in errors.
  void resume(const std::string& where, const Checkpoint& checkpoint);
  /// Gives every process the state of the first.
  void share_state();

 private:
  at::Device device() const { return model_.parameters.device(); }

  /// A sum of losses that nobody waits for before it is asked for.
  struct LossSum {
    Tensor sum;        ///< float64 [], where the model is; undefined: 0.
    double count = 0;  ///< BatchLoss::count.

    void add(const Tensor& loss, double of);
    double value() const { return sum.defined() ? sum.item<double>() : 0; }
  };
  /// Adds the loss of a piece to `own`, and its gradient to the parameters'.
  void add_loss_and_gradient(int64_t piece, int64_t pieces, LossSum& own);

  TrainOptions options_;
  Model& model_;
  Group& group_;
  Loader loader_;
  GradientSum gradient_sum_;
  Adam adam_;
  Ema ema_;
  int64_t step_ = 0;
};

}  // namespace bitdiff
