#pragma once

#include <cstdint>

namespace bitdiff {

enum class Launcher {
  kNone,      ///< A shell: the process is alone.
  kMpi,       ///< mpirun, or srun with PMI or PMIx.
  kTorchrun,  ///< torchrun --no-python.
};

/// What a launcher tells the processes it starts, by environment variables.
struct Launch {
  Launcher by = Launcher::kNone;
  int64_t rank = 0;
  int64_t size = 1;        ///< 0: several or one, MPI will tell.
  int64_t local_rank = 0;  ///< Among those on this machine.
};

/// Looks, for torchrun, at TORCHELASTIC_RUN_ID with RANK, WORLD_SIZE and LOCAL_RANK, then at
/// OMPI_COMM_WORLD_* (Open MPI's mpirun), PMI_* and MPI_LOCALRANKID (MPICH, Intel MPI, srun
/// --mpi=pmi2), PMIX_RANK (srun --mpi=pmix) with SLURM_NTASKS and SLURM_LOCALID.
Launch launch_of_environment();

}  // namespace bitdiff
