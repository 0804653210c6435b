#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "bitdiff/ar/ar_generate.h"
#include "bitdiff/diffusion/generate.h"
#include "bitdiff/dist/group.h"
#include "bitdiff/model/model.h"

namespace bitdiff {

/// What samples describe: from their indices, which may repeat, their images as Batch::image.
using ImagesOfSamples = std::function<Tensor(std::span<const int64_t> samples)>;

/// Sample i describes number i % N of `images` [N, ...].
ImagesOfSamples in_turn(const Tensor& images);

struct DrawOptions {
  GenerateOptions generate;
  DecodeOptions decode = {};  ///< Used by autoregressive models, instead of `generate`.
  int64_t seed = 0;
  /// Rows the network sees at once. A setting of the result, like steps: how sums are split depends
  /// on it.
  int64_t micro_batch = 16;
  int64_t label = -1;  ///< Class of every sample; -1: each its own, drawn uniformly by its index.
  ImagesOfSamples images = {};  ///< For a model that describes images.
};

/// Samples side by side.
struct Drawn {
  Tensor x;             ///< Integers [N, C, *S].
  Tensor label;         ///< int64 [N], or undefined for a model without classes.
  int64_t invalid = 0;  ///< Elements whose bits were no code, out of x.numel().
};

/// Samples as the analog bits they are before thresholding.
struct DrawnBits {
  Tensor x_bits;  ///< float32 [N, bit channels, *S] in +-codec.scale().
  Tensor label;   ///< int64 [N], or undefined for a model without classes.
};

/// Throws UsageError for guidance that this model cannot give: guidance compares with a network
/// that is told nothing, as it must have been in training.
void check_guidance(const Model& model, const GenerateOptions& options);

/// Samples [begin, end) of the endless list that weights, options and seed define.
///
/// The list is cut into blocks of micro_batch that are always computed whole, so that sample i is
/// the same to the last bit whichever samples it is drawn with. Throws NumbersError when the
/// network answers with NaN, UsageError for a label out of range.
DrawnBits draw_bits(const Model& model, const DrawOptions& options, int64_t begin, int64_t end);

/// The same, decoded; of an autoregressive model, which knows no bits, what it writes.
Drawn draw(const Model& model, const DrawOptions& options, int64_t begin, int64_t end);

/// The same, with the blocks dealt out to the processes of a group: all call it, the first has the
/// samples, to the same bits as alone, and the others what is worth nothing.
Drawn draw_together(Group& group, const Model& model, const DrawOptions& options, int64_t begin,
                    int64_t end);

}  // namespace bitdiff
