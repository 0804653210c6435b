#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "bitdiff/base/options.h"
#include "bitdiff/diffusion/denoiser.h"
#include "bitdiff/nn/parameters.h"
#include "bitdiff/nn/time_embedding.h"

namespace bitdiff {

/// The U-Net of Chen et al. (2022), section 3.1.
struct UNetOptions {
  int64_t dim = 256;                      ///< Width of a stage whose multiplier is 1.
  std::vector<int64_t> mult{1, 1, 1};     ///< Width of each stage, in units of dim.
  int64_t blocks = 3;                     ///< Residual blocks of each stage on the way down.
  std::vector<int64_t> attention{16, 8};  ///< Resolutions whose stages have self-attention.
  int64_t head_dim = 64;                  ///< Width of an attention head.
  double dropout = 0;                     ///< Probability, inside the residual blocks.
  TimeInput time = TimeInput::kGamma;     ///< What the network is told of the noise.
  bool activation_checkpointing = false;  ///< Keeps what goes into a block, not what is inside.

  template <class Visitor>
  void visit(Visitor& v) {
    v.number("dim", dim, at_least(4), "width of a stage whose multiplier is 1");
    v.numbers("mult", mult, at_least(1), "width of each stage, finest first, in units of dim");
    v.number("blocks", blocks, at_least(1), "residual blocks of each stage");
    v.numbers("attention", attention, at_least(1), "resolutions that have self-attention");
    v.number("head_dim", head_dim, at_least(1), "width of an attention head");
    v.number("dropout", dropout, between(0, 0.99), "dropout inside the residual blocks");
    v.choice("time", time, time_input_words(), "what the network is told of the noise");
    v.flag("activation_checkpointing", activation_checkpointing,
           "training computes each block once more instead of keeping its inside: less memory");
  }
};

/// What a U-Net must fit.
struct UNetShape {
  int64_t in_channels;     ///< C of x_t (and of x0_prev).
  int64_t out_channels;    ///< C of the answer.
  int64_t resolution;      ///< Height of the images; decides which stages have attention.
  int64_t classes = 0;     ///< 0: labels are ignored.
  int64_t out_kernel = 3;  ///< Of the last convolution; 1 for the softmax factorization.
  int64_t width = 0;       ///< Of the images; 0: their height.
};

/// A U-Net with new parameters under `scope`: a Denoiser of float32 [B, in_channels, H, W]. H and W
/// must be multiples of 2^(stages - 1). Throws UsageError for widths that do not split into
/// normalisation groups or heads, and for a height or width that cannot be halved so often.
std::unique_ptr<Denoiser> make_unet(const UNetOptions& options, const UNetShape& shape,
                                    const Scope& scope);

}  // namespace bitdiff
