#include "on_cpu.h"

// The sources themselves, with that in CUDA's place.
#include "bitdiff/cuda/entry.cu"       // NOLINT(bugprone-suspicious-include)
#include "bitdiff/cuda/group_norm.cu"  // NOLINT(bugprone-suspicious-include)
#include "bitdiff/cuda/layer_norm.cu"  // NOLINT(bugprone-suspicious-include)
#include "bitdiff/cuda/random.cu"      // NOLINT(bugprone-suspicious-include)
