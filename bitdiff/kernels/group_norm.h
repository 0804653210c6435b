#pragma once

#include <vector>

#include "bitdiff/base/tensor.h"

namespace bitdiff::kernels {

/// What becomes of a normalised number.
enum class Activation { kNone, kSilu };

/// Group normalisation (Wu & He, 2018), eps 1e-5, with a weight and a bias for each row and
/// channel, and the activation of the result.
///
/// `x`: [B, C, H, W]. `weight`, `bias`: [B, C]. Returns the dtype and the order of memory of `x`.
/// In channels-last order it goes through loops of our own on the CPU, for LibTorch 2.11 takes up
/// to thirty times as long there as in the other order, and on GPUs where the library of kernels
/// was built; those are differentiable once.
Tensor group_norm(const Tensor& x, int64_t groups, const Tensor& weight, const Tensor& bias,
                  Activation activation = Activation::kNone);

/// The same of an image whose channels may come in several tensors, one behind the other.
Tensor group_norm(const std::vector<Tensor>& x, int64_t groups, const Tensor& weight,
                  const Tensor& bias, Activation activation = Activation::kNone);

/// The same in tensor operations, for every device: what the fast twin is tested against.
namespace reference {
Tensor group_norm(const Tensor& x, int64_t groups, const Tensor& weight, const Tensor& bias,
                  Activation activation = Activation::kNone);
}  // namespace reference

}  // namespace bitdiff::kernels
