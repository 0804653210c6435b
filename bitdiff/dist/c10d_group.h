#pragma once

#include <memory>

#include <c10/core/Device.h>
#include <c10/util/intrusive_ptr.h>

#include "bitdiff/dist/group.h"

namespace c10d {
class Backend;
}  // namespace c10d

namespace bitdiff {

/// Processes that talk through a backend of c10d, which takes tensors on `device` alone: others are
/// copied there and back. What waits on a GPU lets the CPU go on.
class C10dGroup final : public Group {
 public:
  /// `beside`: what brought the processes together, if it is to be left only after them.
  C10dGroup(c10::intrusive_ptr<c10d::Backend> backend, at::Device device,
            std::unique_ptr<Group> beside = {});
  /// Leaves the others; while an exception is under way, without waiting for any.
  ~C10dGroup() override;

  std::unique_ptr<PendingSum> start_sum(const Tensor& own, const Tensor& sum) override;
  void broadcast(const Tensor& value) override;
  Tensor gather_rows(const Tensor& rows) override;
  void barrier() override;

 private:
  Tensor receive(const Tensor& like, int64_t count, int64_t from);

  std::unique_ptr<Group> beside_;
  c10::intrusive_ptr<c10d::Backend> backend_;
  at::Device device_;
};

}  // namespace bitdiff
