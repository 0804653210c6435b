#include "bitdiff/cli/environment.h"

#include <cstdlib>

namespace bitdiff {

bool prepare_environment() {
  bool changed = false;
  const auto set = [&](const char* name, const char* value) {
    if (std::getenv(name)) return;
    changed = ::setenv(name, value, 0) == 0 || changed;
  };
  // Threads that wait spin for a fifth of a millisecond, then sleep (bench/README.md).
  if (!std::getenv("OMP_WAIT_POLICY")) set("GOMP_SPINCOUNT", "3000");
  // One arena for all threads and sizes: what one frees the next one finds. Nothing is given back
  // to the system, so small free pieces are never joined again: whatever is free must be usable for
  // any smaller size (the last word), or a training takes 20 MB more at every step.
  set("MALLOC_CONF",
      "thp:always,dirty_decay_ms:-1,muzzy_decay_ms:-1,narenas:1,oversize_threshold:0,"
      "lg_extent_max_active_fit:30");
  return changed;
}

}  // namespace bitdiff
