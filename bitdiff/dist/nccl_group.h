#pragma once

#include <memory>

#include <c10/core/Device.h>

#include "bitdiff/dist/group.h"
#include "bitdiff/dist/launch.h"

namespace bitdiff {

/// Joins the processes of a launch, each on a GPU of its own, `device`, through c10d's NCCL, which
/// libbitdiff_nccl.so has. They find each other by what torchrun tells, or by MPI. A process that
/// is waited for longer than half an hour ends the others by c10d's watchdog (SIGABRT). Throws
/// DistributedError.
std::unique_ptr<Group> join_nccl(const Launch& launch, at::Device device);

}  // namespace bitdiff
