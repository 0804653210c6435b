#include "cuda_on_cpu.h"

// The sources themselves, with that in CUDA's place.
#include "bitdiff/kernels/cuda/entry.cu"       // NOLINT(bugprone-suspicious-include)
#include "bitdiff/kernels/cuda/group_norm.cu"  // NOLINT(bugprone-suspicious-include)
#include "bitdiff/kernels/cuda/layer_norm.cu"  // NOLINT(bugprone-suspicious-include)
