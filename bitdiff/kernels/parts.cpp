#include "bitdiff/kernels/parts.h"

#include <c10/util/Exception.h>

namespace bitdiff::kernels {

void check_parts(const char* what, const std::vector<Tensor>& parts, int64_t axis, int64_t channels,
                 const Tensor& bias, int64_t outputs) {
  TORCH_CHECK(!parts.empty() && parts[0].dim() > 0, what, ": expected inputs, got none");
  const int64_t dims = parts[0].dim(), place = axis < 0 ? axis + dims : axis;
  int64_t found = 0;
  for (const auto& part : parts) {
    TORCH_CHECK(part.dim() == dims, what, ": expected parts of as many axes, got ",
                parts[0].sizes(), " and ", part.sizes());
    for (int64_t i = 0; i < dims; ++i) {
      TORCH_CHECK(i == place || part.size(i) == parts[0].size(i), what,
                  ": expected parts that differ in axis ", place, " alone, got ", parts[0].sizes(),
                  " and ", part.sizes());
    }
    found += part.size(place);
  }
  TORCH_CHECK(found == channels, what, ": expected ", channels, " channels, got ", found);
  TORCH_CHECK(bias.sizes() == IntArrayRef({outputs}), what, ": expected a bias of ", outputs,
              ", got ", bias.sizes());
}

void check_residual(const char* what, const Tensor& residual, const Tensor& x, int64_t outputs) {
  TORCH_CHECK(residual.sizes() == IntArrayRef({x.size(0), outputs, x.size(2), x.size(3)}), what,
              ": expected a residual of ", outputs, " channels beside ", x.sizes(), ", got ",
              residual.sizes());
}

}  // namespace bitdiff::kernels
