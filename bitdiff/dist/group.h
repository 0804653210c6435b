#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <c10/core/Device.h>

#include "bitdiff/base/error.h"
#include "bitdiff/base/tensor.h"

namespace bitdiff {

/// Another process failed or is missing.
using DistributedError = ErrorOf<ErrorKind::kDistributed>;

/// A sum over all processes that is under way.
class PendingSum {
 public:
  PendingSum() = default;
  PendingSum(const PendingSum&) = delete;
  PendingSum& operator=(const PendingSum&) = delete;
  virtual ~PendingSum() = default;

  /// Lets it move on, for nothing moves between calls; returns at once.
  virtual void poll() = 0;
  /// Returns when the sum is there. Throws DistributedError.
  virtual void wait() = 0;
};

/// Processes that work on one job. Each calls the same functions in the same order; a process that
/// is waited for too long is a DistributedError in those that wait.
///
/// Tensors are in main memory or, where the group was joined for a GPU, on that; they cover their
/// memory without gaps, in the same order of axes everywhere (the strides of rank 0).
class Group {
 public:
  Group(int64_t rank, int64_t size) : rank_(rank), size_(size) {}
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;
  virtual ~Group() = default;

  int64_t rank() const { return rank_; }  ///< In [0, size).
  int64_t size() const { return size_; }
  bool first() const { return rank_ == 0; }  ///< The one that speaks and writes for all.

  /// Begins to set `sum` to the sum of `own` over all, the same bits everywhere. float32, float64
  /// or int64; both are left alone by the caller until it has waited.
  virtual std::unique_ptr<PendingSum> start_sum(const Tensor& own, const Tensor& sum) = 0;

  /// The sum of `own` over all.
  Tensor sum(const Tensor& own);

  /// Fills `value` with that of the first process.
  virtual void broadcast(const Tensor& value) = 0;

  /// On the first process the rows [n, ...] of all, in the order of ranks; undefined elsewhere. The
  /// others may have none: n = 0 or an undefined tensor.
  virtual Tensor gather_rows(const Tensor& rows) = 0;

  /// Returns when all have called it.
  virtual void barrier() = 0;

 private:
  int64_t rank_, size_;
};

/// A process alone, which has nobody to wait for.
class GroupOfOne final : public Group {
 public:
  GroupOfOne() : Group(0, 1) {}
  std::unique_ptr<PendingSum> start_sum(const Tensor& own, const Tensor& sum) override;
  void broadcast(const Tensor&) override {}
  Tensor gather_rows(const Tensor& rows) override { return rows; }
  void barrier() override {}
};

/// The processes that were started with this one (see launch.h), each of which computes on its
/// `device`: on CPUs they talk through MPI, on GPUs through NCCL. Where there are no others nothing
/// is set up. To be called once, and after what blocks signals. Throws DistributedError when there
/// are others and no way to talk to them.
std::unique_ptr<Group> join_group(at::Device device);

/// Ends the processes of this one's group, so that none waits for it in vain; the whole exits with
/// `code`. Returns where this process has not joined any, or has left it.
void end_group(int code);

}  // namespace bitdiff
