#pragma once

#include "bitdiff/diffusion/denoiser.h"
#include "bitdiff/diffusion/process.h"

namespace bitdiff {

/// Algorithm 1 of Chen et al. (2022): the mean squared error of the network on corrupted bits.
///
/// `x`: integers [B, C, *S]. `self_cond_rows`: how many rows, from the first, see their own
/// estimate of x_0 (the authors' code: int(rate * B) of them; batches are in random order).
/// `weight`: see loss_of. Times
/// and noise of a row are functions of its stream in `streams` alone. Returns a scalar with
/// gradient.
Tensor train_loss(const Process& process, const Denoiser& net, const Tensor& x,
                  const Condition& cond, const Streams& streams, int64_t self_cond_rows,
                  const Tensor& weight = {});

/// The same at a level of noise for each row, gamma float64 [B] in (0, 1].
Tensor loss_at(const Process& process, const Denoiser& net, const Tensor& x, const Condition& cond,
               const Tensor& gamma, const Streams& streams, int64_t self_cond_rows,
               const Tensor& weight = {});

}  // namespace bitdiff
