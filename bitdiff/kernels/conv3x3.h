#pragma once

#include "bitdiff/base/tensor.h"

namespace bitdiff::kernels {

/// A convolution with a 3x3 kernel, stride 1 and zero padding, which keeps the size of the image.
///
/// `x`: [B, K, H, W]. `weight`: [N, K, 3, 3]. `bias`: [N]. Returns [B, N, H, W]. On a CPU with
/// AVX-512 or AVX2, in float32 and channels-last order, it takes a quarter of the multiplications
/// (see winograd.h) and is differentiable once; the error is then some 1e-6 of the result's
/// deviation. Where autocast asks for bfloat16 and the processor has no tiles for it (tiles.h) it
/// is computed so too, and rounded at the end.
Tensor conv3x3(const Tensor& x, const Tensor& weight, const Tensor& bias);

/// The same by LibTorch, for every device: what the fast twin is tested against.
namespace reference {
Tensor conv3x3(const Tensor& x, const Tensor& weight, const Tensor& bias);
}  // namespace reference

}  // namespace bitdiff::kernels
