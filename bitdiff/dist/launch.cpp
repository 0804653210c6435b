#include "bitdiff/dist/launch.h"

#include <cstdlib>
#include <optional>

namespace bitdiff {
namespace {

std::optional<int64_t> number_of(const char* variable) {
  const char* text = std::getenv(variable);
  if (!text || !*text) return {};
  return std::strtoll(text, nullptr, 10);
}

}  // namespace

Launch launch_of_environment() {
  // First, for one torchrun a machine is what srun and mpirun are often told to start.
  if (std::getenv("TORCHELASTIC_RUN_ID")) {
    return {Launcher::kTorchrun, number_of("RANK").value_or(0), number_of("WORLD_SIZE").value_or(1),
            number_of("LOCAL_RANK").value_or(0)};
  }
  if (const auto size = number_of("OMPI_COMM_WORLD_SIZE")) {
    return {Launcher::kMpi, number_of("OMPI_COMM_WORLD_RANK").value_or(0), *size,
            number_of("OMPI_COMM_WORLD_LOCAL_RANK").value_or(0)};
  }
  const auto on_slurm = number_of("SLURM_LOCALID");
  if (const auto size = number_of("PMI_SIZE")) {
    return {Launcher::kMpi, number_of("PMI_RANK").value_or(0), *size,
            number_of("MPI_LOCALRANKID").value_or(on_slurm.value_or(0))};
  }
  if (const auto rank = number_of("PMIX_RANK")) {
    return {Launcher::kMpi, *rank, number_of("SLURM_NTASKS").value_or(0), on_slurm.value_or(0)};
  }
  return {};
}

}  // namespace bitdiff
