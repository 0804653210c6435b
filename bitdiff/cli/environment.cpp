#include "bitdiff/cli/environment.h"

#include <cstdlib>

namespace bitdiff {

bool prepare_environment() {
  bool changed = false;
  const auto set = [&](const char* name, const char* value) {
    if (std::getenv(name)) return;
    changed = ::setenv(name, value, 0) == 0 || changed;
  };
  if (!std::getenv("GOMP_SPINCOUNT")) set("OMP_WAIT_POLICY", "passive");
  // One arena for all threads and sizes: what one frees the next one finds.
  set("MALLOC_CONF",
      "thp:always,dirty_decay_ms:-1,muzzy_decay_ms:-1,narenas:1,oversize_threshold:0");
  return changed;
}

}  // namespace bitdiff
