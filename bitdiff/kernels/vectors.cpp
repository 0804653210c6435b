#include "bitdiff/kernels/vectors.h"

#include <cstdlib>
#include <string_view>

namespace bitdiff::kernels {
namespace {

bool hidden_by(std::string_view word) {
  const char* const capability = std::getenv("ATEN_CPU_CAPABILITY");
  return capability && capability == word;
}

}  // namespace

#if defined(__x86_64__) && defined(__GNUC__)
bool has_avx512() {
  static const bool there =
      __builtin_cpu_supports("avx512f") != 0 && !hidden_by("avx2") && !hidden_by("default");
  return there;
}

bool has_avx2() {
  static const bool there = __builtin_cpu_supports("avx2") != 0 &&
                            __builtin_cpu_supports("fma") != 0 && !hidden_by("default");
  return there;
}
#else
bool has_avx512() { return false; }
bool has_avx2() { return false; }
#endif

}  // namespace bitdiff::kernels
