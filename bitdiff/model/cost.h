#pragma once

#include <cstdint>

#include "bitdiff/data/dataset.h"
#include "bitdiff/model/model.h"

namespace bitdiff {

/// What a network costs.
struct ModelCost {
  int64_t parameters = 0;
  /// Multiply-adds of one pass over one example: those of convolutions, of linear layers and of the
  /// mixing in attention. The rest (normalisation, activations) is bound by memory, not by these.
  double net_macs = 0;
  double encoder_macs = 0;  ///< The same of the image encoder; 0: there is none.

  /// Multiply-adds for each example of a training step. The gradient costs twice the pass; a share
  /// `self_cond_rate` of the examples passes the network once more.
  double forward_macs(double self_cond_rate) const;
  double backward_macs() const;
};

/// Counts the model that `options` make for `data`, from the shapes of its parameters and at how
/// many places each is applied; nothing is computed or allocated. Throws what make_model throws.
ModelCost cost_of(const ModelOptions& options, const DataInfo& data);

}  // namespace bitdiff
