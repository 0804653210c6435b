#pragma once

#include <vector>

#include "bitdiff/base/tensor.h"

namespace bitdiff::kernels {

/// x W^T + b on the last axis: [..., K] -> [..., N]. The K numbers of x may come in several
/// tensors, one behind the other. `weight`: [N, K]. `bias`: [N].
///
/// On a CPU with AVX-512 or AVX2, in float32 and with all widths multiples of 16, it goes through
/// loops of our own, for MKL is slow on processors of other makers; those are differentiable once.
Tensor linear(const std::vector<Tensor>& x, const Tensor& weight, const Tensor& bias);

/// The same at each pixel of images [B, K, H, W] -> [B, N, H, W]. `weight`: [N, K, 1, 1].
Tensor conv1x1(const std::vector<Tensor>& x, const Tensor& weight, const Tensor& bias);

/// The same by LibTorch, for every device: what the fast twins are tested against.
namespace reference {
Tensor linear(const std::vector<Tensor>& x, const Tensor& weight, const Tensor& bias);
Tensor conv1x1(const std::vector<Tensor>& x, const Tensor& weight, const Tensor& bias);
}  // namespace reference

}  // namespace bitdiff::kernels
