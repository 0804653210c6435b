#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "bitdiff/dist/group.h"

namespace bitdiff {

/// Sums the gradients of a network over a group while backward is still at work (Li et al., 2020,
/// "PyTorch Distributed", section 3.2): a bucket of them is sent off as soon as it is full. Of a
/// group of one it does nothing.
///
/// `parameters` in the order in which the network uses them: backward reaches the last ones first.
class GradientSum {
 public:
  static constexpr int64_t kBucketBytes = int64_t{4} << 20;

  /// `group` must live as long.
  GradientSum(Group& group, const std::vector<Tensor>& parameters,
              int64_t bucket_bytes = kBucketBytes);
  ~GradientSum();
  GradientSum(const GradientSum&) = delete;
  GradientSum& operator=(const GradientSum&) = delete;

  /// The backward to come is the last of this step: what it finishes is sent off. Those before only
  /// add up.
  void begin();

  /// After it: every parameter has the sum as its gradient; one without a gradient counts as 0.
  /// Throws DistributedError.
  void finish();

  int64_t buckets() const { return static_cast<int64_t>(buckets_.size()); }

 private:
  class Hook;
  struct Slot {
    Tensor parameter;
    Tensor own, sum;  ///< Its places in the bucket's.
    bool there = false;
  };
  struct Bucket {
    std::vector<Slot> slots;
    Tensor own, sum;  ///< float32 [n].
    int64_t missing = 0;
    std::unique_ptr<PendingSum> pending;
  };

  void add_bucket(const std::vector<Tensor>& parameters);
  void take(size_t bucket, size_t slot);
  void send_full_buckets();

  Group& group_;
  std::vector<Bucket> buckets_;
  bool sending_ = false;
  size_t sent_ = 0;  ///< Buckets, in their order, which must be that of every process.
};

}  // namespace bitdiff
