// Stands for mpi_group.cpp in a build without MPI.

#include <string>

#include "bitdiff/dist/mpi_group.h"

namespace bitdiff {

std::unique_ptr<Group> join_mpi(const Launch& launch) {
  const auto count = launch.size > 0 ? std::to_string(launch.size) : std::string("several");
  throw DistributedError("started as one of ", count,
                         " processes, but built without MPI; install it (Debian: libopenmpi-dev ",
                         "openmpi-bin) and build anew, or start one process");
}

void end_group(int) {}

}  // namespace bitdiff
