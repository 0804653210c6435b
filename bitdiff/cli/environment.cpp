#include "bitdiff/cli/patient_threads.h"

#include <cstdlib>
#include <unistd.h>

namespace bitdiff {

void wait_patiently(char** argv) {
  if (std::getenv("OMP_WAIT_POLICY") || std::getenv("GOMP_SPINCOUNT")) return;
  ::setenv("OMP_WAIT_POLICY", "passive", 1);
  ::execv("/proc/self/exe", argv);
}

}  // namespace bitdiff
