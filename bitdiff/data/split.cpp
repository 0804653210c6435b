#include "bitdiff/data/split.h"

#include <algorithm>

#include "bitdiff/base/error.h"
#include "bitdiff/base/random.h"

namespace bitdiff {

Subset::Subset(std::shared_ptr<const Dataset> whole, std::vector<int64_t> indices)
    : whole_(std::move(whole)), indices_(std::move(indices)) {}

Batch Subset::get(std::span<const int64_t> indices) const {
  std::vector<int64_t> of_whole;
  for (const int64_t index : indices) of_whole.push_back(indices_.at(index));
  return whole_->get(of_whole);
}

std::shared_ptr<const Dataset> random_part(const std::shared_ptr<const Dataset>& whole,
                                           int64_t seed, int64_t count) {
  if (count < 0 || count > whole->size()) {
    throw UsageError("holdout: expected a number in 0..", whole->size(), ", for there are ",
                     whole->size(), " examples to test on, found ", count);
  }
  auto order = permutation(seed, Purpose::kHoldout, 0, whole->size());
  order.resize(count);
  std::sort(order.begin(), order.end());
  return std::make_shared<Subset>(whole, std::move(order));
}

Split split_holdout(const std::shared_ptr<const Dataset>& whole, int64_t seed, int64_t count) {
  if (count < 0 || count >= whole->size()) {
    throw UsageError("holdout: expected a number in 0..", whole->size() - 1, ", for there are ",
                     whole->size(), " examples and some must remain, found ", count);
  }
  auto order = permutation(seed, Purpose::kHoldout, 0, whole->size());
  const auto middle = order.begin() + count;
  std::sort(order.begin(), middle);
  std::sort(middle, order.end());
  return {std::make_shared<Subset>(whole, std::vector<int64_t>(middle, order.end())),
          std::make_shared<Subset>(whole, std::vector<int64_t>(order.begin(), middle))};
}

}  // namespace bitdiff
