#pragma once

#include <cstdlib>
#include <map>
#include <string>

namespace bitdiff {

/// While it lives a launcher has set these environment variables and no others.
class LaunchVariables {
 public:
  using Values = std::map<std::string, std::string>;

  explicit LaunchVariables(const Values& values) {
    clear();
    for (const auto& [name, value] : values) ::setenv(name.c_str(), value.c_str(), 1);
  }
  ~LaunchVariables() { clear(); }
  LaunchVariables(const LaunchVariables&) = delete;
  LaunchVariables& operator=(const LaunchVariables&) = delete;

 private:
  static void clear() {
    for (const auto* name :
         {"OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_LOCAL_RANK", "PMI_SIZE",
          "PMI_RANK", "MPI_LOCALRANKID", "PMIX_RANK", "SLURM_NTASKS", "SLURM_LOCALID",
          "TORCHELASTIC_RUN_ID", "TORCHELASTIC_USE_AGENT_STORE", "TORCHELASTIC_RESTART_COUNT",
          "RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"}) {
      ::unsetenv(name);
    }
  }
};

}  // namespace bitdiff
