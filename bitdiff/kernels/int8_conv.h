#pragma once

#include <optional>
#include <vector>

#include "bitdiff/base/tensor.h"
#include "bitdiff/kernels/silu_conv3x3.h"

/// Convolutions with 8-bit integers for inputs and weights: for sampling only, they have no
/// gradient.
///
/// An image's inputs are taken as (q - zero) * unit with q of [0, 255], where unit and the integer
/// zero make that range just hold the image and 0; a weight as q * unit with q of [-127, 127] and a
/// unit for each output. Sums of their products are exact.
namespace bitdiff::kernels {

/// The weight of a convolution, made once for many calls.
struct Int8Weight {
  Tensor q;       ///< int8 [N, K, k, k], k of 1 or 3.
  Tensor unit;    ///< float32 [N].
  Tensor sum;     ///< int32 [N], of all q of an output.
  Tensor packed;  ///< q in the order of the fast twin; undefined where that cannot do it.
};

/// `weight`: float32 [N, K, k, k], k of 1 or 3.
Int8Weight quantize_weight(const Tensor& weight);

/// A convolution of stride 1 with zero padding that keeps the size. `x`: float32 [B, K, H, W],
/// whose channels may come in several tensors, one behind the other. `bias`: float32 [N]. Returns
/// [B, N, H, W]. Fast on processors with AVX-512 VNNI, for channels-last images with K and N
/// multiples of 16 and K k k up to 66,000. NaN in an image is NaN in all of its answer.
Tensor int8_conv(const std::vector<Tensor>& x, const Int8Weight& weight, const Tensor& bias);

/// The same for rows: x [B, L, K] and a weight of [N, K, 1, 1]; returns [B, L, N].
Tensor int8_linear(const Tensor& x, const Int8Weight& weight, const Tensor& bias);

/// int8_conv of silu(group_norm(x)), with a residual: silu_conv3x3.h.
Tensor int8_silu_conv(const std::vector<Tensor>& x, const Norm& norm, const Int8Weight& weight,
                      const Tensor& bias, const std::optional<Residual>& residual = {});

/// The same in LibTorch's operations: what the fast twins are tested against.
namespace reference {
Tensor int8_conv(const std::vector<Tensor>& x, const Int8Weight& weight, const Tensor& bias);
Tensor int8_silu_conv(const std::vector<Tensor>& x, const Norm& norm, const Int8Weight& weight,
                      const Tensor& bias, const std::optional<Residual>& residual = {});
}  // namespace reference

}  // namespace bitdiff::kernels
