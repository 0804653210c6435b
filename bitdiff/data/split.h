#pragma once

#include <memory>
#include <vector>

#include "bitdiff/data/dataset.h"

namespace bitdiff {

/// Some of the examples of another data set.
class Subset final : public Dataset {
 public:
  Subset(std::shared_ptr<const Dataset> whole, std::vector<int64_t> indices);

  const DataInfo& info() const override { return whole_->info(); }
  int64_t size() const override { return static_cast<int64_t>(indices_.size()); }
  Batch get(std::span<const int64_t> indices) const override;

 private:
  std::shared_ptr<const Dataset> whole_;
  std::vector<int64_t> indices_;
};

struct Split {
  std::shared_ptr<const Dataset> train;
  std::shared_ptr<const Dataset> held_out;
};

/// `count` random examples, a function of `seed`. Throws UsageError when there are fewer.
std::shared_ptr<const Dataset> random_part(const std::shared_ptr<const Dataset>& whole,
                                           int64_t seed, int64_t count);

/// Keeps `count` random examples, a function of `seed`, out of training. Throws UsageError unless
/// some remain.
Split split_holdout(const std::shared_ptr<const Dataset>& whole, int64_t seed, int64_t count);

}  // namespace bitdiff
