#include "bitdiff/metrics/kid.h"

#include <algorithm>

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/tensor.h>

#include "bitdiff/base/random.h"

namespace bitdiff {
namespace {

Tensor kernel(const Tensor& x, const Tensor& y) {
  return at::matmul(x, y.t()).div_(x.size(1)).add_(1).pow_(3);
}

// The mean of the kernel over all pairs of two different vectors.
double mean_off_diagonal(const Tensor& x) {
  const auto k = kernel(x, x);
  const auto m = static_cast<double>(x.size(0));
  return (k.sum() - k.trace()).item<double>() / (m * (m - 1));
}

double squared_discrepancy(const Tensor& x, const Tensor& y) {
  return mean_off_diagonal(x) + mean_off_diagonal(y) - 2 * kernel(x, y).mean().item<double>();
}

Tensor draw(const Tensor& x, int64_t size, uint64_t seed, int64_t index) {
  auto order = permutation(seed, Purpose::kKidSubset, index, x.size(0));
  order.resize(size);
  return x.index_select(0, at::tensor(order)).to(at::kDouble);
}

}  // namespace

MeanAndDeviation kernel_inception_distance(const Tensor& x, const Tensor& y,
                                           const KidOptions& options) {
  const auto size = std::min({options.subset_size, x.size(0), y.size(0)});
  TORCH_CHECK(size > 1, "expected two vectors in each set, got ", x.sizes(), " and ", y.sizes());
  const bool whole = size == x.size(0) && size == y.size(0);
  const int64_t subsets = whole ? 1 : options.subsets;
  auto found = at::empty({subsets}, at::kDouble);
  for (int64_t i = 0; i < subsets; ++i) {
    found[i] = squared_discrepancy(draw(x, size, options.seed, 2 * i),
                                   draw(y, size, options.seed, 2 * i + 1));
  }
  return {found.mean().item<double>(), found.std(/*unbiased=*/false).item<double>()};
}

}  // namespace bitdiff
