#pragma once

#include "bitdiff/kernels/int2bit.h"

/// The twins of kernels/int2bit.h for tensors in main memory, called through those.
namespace bitdiff::kernels::cpu {
Tensor int2bit(const Tensor& codes, IntArrayRef bits, double scale);
Codes bit2int(const Tensor& x_bits, IntArrayRef bits);
}  // namespace bitdiff::kernels::cpu
