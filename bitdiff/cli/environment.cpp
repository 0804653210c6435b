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
  set("GLIBC_TUNABLES",
      "glibc.malloc.hugetlb=1:glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=1099511627776");
  return changed;
}

}  // namespace bitdiff
