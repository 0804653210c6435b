#pragma once

#include "bitdiff/base/options.h"
#include "bitdiff/base/random.h"
#include "bitdiff/base/tensor.h"

namespace bitdiff {

struct AugmentOptions {
  int64_t shift = 4;
  double colour = 0;

  template <class Visitor>
  void visit(Visitor& v) {
    v.number("shift", shift, between(0, 64), "pixels by which images are moved at most, each way");
    v.number("colour", colour, between(0, 1),
             "how much the gain and offset of each colour channel change at most");
  }
};

/// Images float32 [B, 3, H, W] in [0, 255], each moved and coloured anew: a function of its row in
/// `streams`. What moves in from outside is the image mirrored at its edge; H and W must be above
/// options.shift.
Tensor augment(const Tensor& images, const AugmentOptions& options, const Streams& streams);

}  // namespace bitdiff
