#pragma once

#include <optional>
#include <vector>

#include "bitdiff/base/error.h"
#include "bitdiff/base/random.h"
#include "bitdiff/base/tensor.h"

namespace bitdiff {

/// What a sample is conditioned on, and how the network is to be run.
struct Condition {
  Tensor label;  ///< int64 [B], a class in [0, classes) or -1 for none; or undefined.
  /// float32 [B, M, D], what the network looks at (an encoded image); or undefined.
  Tensor context = {};
  /// What the network made of `context`, see Denoiser::look; empty: it looks anew at each call.
  std::vector<Tensor> seen = {};
  std::optional<Streams> dropout = {};  ///< Training: where dropout draws from. Absent: no dropout.
};

/// `cond` with nothing to see in the rows where `rows`, bool [B], is true: no label, and zeros as
/// context and as what the network made of it. What classifier-free guidance compares with.
Condition hidden(Condition cond, const Tensor& rows);

/// A network that sees corrupted data and answers with x0, eps or v, as Process::prediction says.
class Denoiser {
 public:
  Denoiser() = default;
  Denoiser(const Denoiser&) = delete;
  Denoiser& operator=(const Denoiser&) = delete;
  virtual ~Denoiser() = default;

  /// `x_t`: float32 [B, C, *S], corrupted analog bits. `x0_prev`: the same shape, the previous
  /// estimate of x_0 (self-conditioning), zeros where there is none. `gamma`: float64 [B] in (0,
  /// 1], gamma(t) of each row, the network's clock. Returns float32 [B, C_out, *S].
  virtual Tensor forward(const Tensor& x_t, const Tensor& x0_prev, const Tensor& gamma,
                         const Condition& cond) const = 0;

  /// `cond` with `seen`: for many calls with one context, which need to look at it only once.
  virtual Condition look(const Condition& cond) const { return cond; }

  /// From now on forward computes with 8-bit integers where most of the time goes: faster, not
  /// quite the same, and without gradients. Throws UsageError where a network does not offer it.
  virtual void quantize() {
    throw UsageError("int8: expected a U-Net, for only its convolutions have it; leave it out");
  }
};

}  // namespace bitdiff
