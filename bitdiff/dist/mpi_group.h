#pragma once

#include <memory>

#include "bitdiff/dist/group.h"
#include "bitdiff/dist/launch.h"

namespace bitdiff {

/// Joins all processes of an MPI job (MPI_COMM_WORLD); leaves them when destroyed, unless an
/// exception is under way: then end_group is still to come. Throws DistributedError in a build
/// without MPI.
std::unique_ptr<Group> join_mpi(const Launch& launch);

}  // namespace bitdiff
