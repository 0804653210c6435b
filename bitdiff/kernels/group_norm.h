#pragma once

#include "bitdiff/base/tensor.h"

namespace bitdiff::kernels {

/// What becomes of a normalised number.
enum class Activation { kNone, kSilu };

/// Group normalisation (Wu & He, 2018), eps 1e-5, with a weight and a bias for each row and
/// channel, and the activation of the result.
///
/// `x`: [B, C, H, W]. `weight`, `bias`: [B, C]. Returns the dtype and the order of memory of `x`.
/// On the CPU in channels-last order it goes through loops of our own, for LibTorch 2.11 takes up
/// to thirty times as long there as in the other order; those are differentiable once.
Tensor group_norm(const Tensor& x, int64_t groups, const Tensor& weight, const Tensor& bias,
                  Activation activation = Activation::kNone);

/// The same in tensor operations, for every device: what the fast twin is tested against.
namespace reference {
Tensor group_norm(const Tensor& x, int64_t groups, const Tensor& weight, const Tensor& bias,
                  Activation activation = Activation::kNone);
}  // namespace reference

}  // namespace bitdiff::kernels
