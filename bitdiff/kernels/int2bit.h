#pragma once

#include "bitdiff/base/tensor.h"

namespace bitdiff::kernels {

/// Codes to analog bits: bit i of a code, least significant first, becomes +scale or -scale
/// (algorithm 3 of Chen et al., 2022, and the shift to analog bits).
///
/// `codes`: uint8 or int32 [B, C, *S], each in [0, 2^bits[c]). `bits`: C numbers in 1..31 (uint8:
/// 1..8). Returns float32 [B, sum(bits), *S]: the bits of channel 0, then those of channel 1, ...
Tensor int2bit(const Tensor& codes, IntArrayRef bits, double scale);

struct Codes {
  Tensor codes;  ///< uint8 if no channel has more than 8 bits, else int32; [B, C, *S].
  bool nan;      ///< Whether a bit was NaN, which counts as 0.
};

/// Analog bits to codes, the inverse of int2bit: a bit is 1 where it is above 0.
///
/// `x_bits`: float32 [B, sum(bits), *S].
Codes bit2int(const Tensor& x_bits, IntArrayRef bits);

/// The same in tensor operations, for every device: what the fast twins are tested against.
namespace reference {
Tensor int2bit(const Tensor& codes, IntArrayRef bits, double scale);
Codes bit2int(const Tensor& x_bits, IntArrayRef bits);
}  // namespace reference

}  // namespace bitdiff::kernels
