#include "bitdiff/metrics/precision_recall.h"

#include <algorithm>

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/kthvalue.h>
#include <ATen/ops/matmul.h>

namespace bitdiff {
namespace {

constexpr int64_t kNeighbours = 3;
constexpr int64_t kBlock = 512;

// Squared distances from `rows` to every vector of `all`, whose squared lengths are `lengths`.
Tensor squared_distances(const Tensor& rows, const Tensor& all, const Tensor& lengths) {
  return at::matmul(rows, all.t())
      .mul_(-2)
      .add_(lengths)
      .add_(rows.square().sum(1, /*keepdim=*/true))
      .clamp_min_(0);
}

// Calls visit(distances) for blocks of the rows of `from`, in order.
template <class Visit>
void for_blocks(const Tensor& from, const Tensor& to, const Visit& visit) {
  const auto lengths = to.square().sum(1);
  for (int64_t begin = 0; begin < from.size(0); begin += kBlock) {
    const auto rows = from.slice(0, begin, std::min(begin + kBlock, from.size(0)));
    visit(squared_distances(rows, to, lengths));
  }
}

// The squared radius of each vector's ball: [N].
Tensor radii_of(const Tensor& features) {
  std::vector<Tensor> radii;
  // The nearest of all is the vector itself.
  for_blocks(features, features, [&](const Tensor& distances) {
    radii.push_back(std::get<0>(at::kthvalue(distances, kNeighbours + 1, 1)));
  });
  return at::cat(radii);
}

double share_within(const Tensor& features, const Tensor& centres, const Tensor& radii) {
  int64_t within = 0;
  for_blocks(features, centres, [&](const Tensor& distances) {
    within += distances.le(radii).any(1).sum().item<int64_t>();
  });
  return static_cast<double>(within) / static_cast<double>(features.size(0));
}

}  // namespace

PrecisionRecall precision_recall(const Tensor& samples, const Tensor& reference) {
  TORCH_CHECK(samples.size(0) > kNeighbours && reference.size(0) > kNeighbours,
              "expected more than ", kNeighbours, " vectors in each set, got ", samples.sizes(),
              " and ", reference.sizes());
  const auto x = samples.to(at::kDouble), y = reference.to(at::kDouble);
  return {share_within(x, y, radii_of(y)), share_within(y, x, radii_of(x))};
}

}  // namespace bitdiff
