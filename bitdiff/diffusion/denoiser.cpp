#include "bitdiff/diffusion/denoiser.h"

#include <ATen/TensorOperators.h>

namespace bitdiff {

Condition hidden(Condition cond, const Tensor& rows) {
  const auto blank = [&](Tensor& of_rows, double value) {
    if (!of_rows.defined()) return;
    of_rows = of_rows.masked_fill(rows.view(row_shape(of_rows.sizes())), value);
  };
  blank(cond.label, -1);
  blank(cond.context, 0);
  for (auto& seen : cond.seen) blank(seen, 0);
  return cond;
}

}  // namespace bitdiff
