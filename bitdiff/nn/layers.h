#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "bitdiff/base/random.h"
#include "bitdiff/base/tensor.h"
#include "bitdiff/kernels/int8_conv.h"
#include "bitdiff/kernels/silu_conv3x3.h"
#include "bitdiff/nn/parameters.h"

namespace bitdiff {

/// The initial scale (see Parameters::add) of layers that start as good as silent.
inline constexpr double kSilentInit = 1e-10;

/// x W^T + b on the last axis.
struct Linear {
  Linear(int64_t in, int64_t out, const Scope& scope, double init_scale = 1);
  Tensor operator()(const Tensor& x) const;  ///< [..., in] -> [..., out].
  /// From now on this computes with 8-bit integers, without gradients: [B, L, in] -> [B, L, out].
  void quantize();

  Tensor weight, bias;
  std::optional<kernels::Int8Weight> int8;
};

/// A convolution with a square kernel and zero padding.
///
/// A stride of 1 keeps the size of the image. A stride of 2 halves an even size and pads as
/// TensorFlow's SAME does: nothing at the top and left, one row and column at the bottom and right.
struct Conv2d {
  struct Options {
    int64_t kernel = 3;     ///< 1 or 3.
    int64_t stride = 1;     ///< 1 or 2.
    double init_scale = 1;  ///< Of the variance of the initial weights, see Parameters::add.
  };
  Conv2d(int64_t in, int64_t out, const Scope& scope, Options options);
  Conv2d(int64_t in, int64_t out, const Scope& scope) : Conv2d(in, out, scope, Options()) {}
  Tensor operator()(const Tensor& x) const;  ///< [B, in, H, W] -> [B, out, H', W'].
  /// The same, for a stride of 1. The channels of x may come in several tensors, one behind the
  /// other.
  Tensor operator()(const std::vector<Tensor>& x) const;

  /// (conv(silu(norm(x))) + residual) * factor, for a kernel of 3 and a stride of 1. x: as above.
  Tensor of_silu(const std::vector<Tensor>& x, const kernels::Norm& norm,
                 const std::optional<kernels::Residual>& residual = {}) const;

  /// From now on this computes with 8-bit integers, without gradients; for a stride of 1.
  void quantize();

  Tensor weight, bias;
  std::optional<kernels::Int8Weight> int8;
  int64_t stride, padding;
};

/// Group normalisation of [B, C, H, W] (see kernels/group_norm.h), with a weight and a bias for
/// each channel. Throws UsageError when `group_count` does not divide `channels`.
struct GroupNorm {
  GroupNorm(int64_t channels, int64_t group_count, const Scope& scope);
  Tensor operator()(const Tensor& x) const;

  /// The weights of norm(x), and of norm(x) * (1 + scale) + shift, for the kernels.
  /// `scale_shift`: [rows, 2 C].
  kernels::Norm weights(int64_t rows) const;
  kernels::Norm weights(const Tensor& scale_shift) const;

  Tensor weight, bias;
  int64_t groups;
};

/// Layer normalisation (Ba et al., 2016) of the last axis, eps 1e-6 as in ViT and Pix2Seq.
struct LayerNorm {
  LayerNorm(int64_t width, const Scope& scope);
  Tensor operator()(const Tensor& x) const;  ///< [..., D] -> the same.
  /// The same of x [B, L, D], times `gain` plus `shift`, both [B, D].
  Tensor operator()(const Tensor& x, const Tensor& gain, const Tensor& shift) const;

  Tensor weight, bias;
};

/// What causal attention has seen, of M positions: each [B, heads, M, C / heads].
struct KeyValue {
  Tensor key, value;
};

/// Multi-head self-attention over L positions (Vaswani et al., 2017), biases everywhere.
/// Throws UsageError when `head_count` does not divide `channels`.
struct SelfAttention {
  SelfAttention(int64_t channels, int64_t head_count, const Scope& scope);
  Tensor operator()(const Tensor& x) const;  ///< [B, L, C] -> the same.

  /// The same, but position i of `x` sees those up to itself and those that `past` holds; undefined
  /// tensors are none. Adds the positions of `x` to `past`.
  Tensor causal(const Tensor& x, KeyValue& past) const;

  int64_t heads;
  Linear qkv, out;
};

/// Multi-head attention of L positions to M others, biases everywhere. Throws UsageError when
/// `head_count` does not divide `channels`.
struct CrossAttention {
  CrossAttention(int64_t channels, int64_t context_channels, int64_t head_count,
                 const Scope& scope);
  /// The keys and values [B, M, 2 C] of a context [B, M, context_channels].
  Tensor look_at(const Tensor& context) const;
  Tensor operator()(const Tensor& x, const Tensor& keys_values) const;  ///< [B, L, C] -> the same.

  int64_t heads;
  Linear query, key_value, out;
};

/// SiLU; overwrites `x` when no gradient will be asked for.
Tensor activate(Tensor x);

/// (a + b) / sqrt(2), which keeps the variance of independent a and b.
Tensor scaled_sum(const Tensor& a, const Tensor& b);

/// Zeroes each number of `x` [B, ...] with probability `rate` and scales the rest by 1 / (1 -
/// rate). A pure function of the streams and `layer`, which tells the dropouts of one network
/// apart; does nothing without streams.
Tensor dropout(const Tensor& x, double rate, const std::optional<Streams>& streams, int64_t layer);

}  // namespace bitdiff
