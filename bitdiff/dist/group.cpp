#include "bitdiff/dist/group.h"

#include <ATen/ops/empty_like.h>

#include "bitdiff/dist/launch.h"
#include "bitdiff/dist/mpi_group.h"
#include "bitdiff/dist/nccl_group.h"

namespace bitdiff {
namespace {

/// A sum of one number each is there at once.
class Done final : public PendingSum {
 public:
  void poll() override {}
  void wait() override {}
};

}  // namespace

Tensor Group::sum(const Tensor& own) {
  auto result = at::empty_like(own);
  start_sum(own, result)->wait();
  return result;
}

std::unique_ptr<PendingSum> GroupOfOne::start_sum(const Tensor& own, const Tensor& sum) {
  sum.copy_(own);
  return std::make_unique<Done>();
}

std::unique_ptr<Group> join_group(at::Device device) {
  const auto launch = launch_of_environment();
  if (launch.size == 1) return std::make_unique<GroupOfOne>();
  if (device.is_cuda()) return join_nccl(launch, device);
  if (launch.by == Launcher::kTorchrun) {
    throw DistributedError("torchrun started ", launch.size,
                           " processes, but on CPUs they talk through MPI; start them with mpirun ",
                           "-n ", launch.size,
                           " bitdiff ..., or where the command takes it use --device cuda");
  }
  return join_mpi(launch);
}

}  // namespace bitdiff
