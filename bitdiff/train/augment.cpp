#include "bitdiff/train/augment.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/reflection_pad2d.h>

namespace bitdiff {
namespace {

/// Numbers in [-1, 1).
Tensor symmetric(const Streams& streams, IntArrayRef shape) {
  return streams.uniform(shape) * 2 - 1;
}

/// Cuts [B, 3, H, W] out of the images with a margin of `shift` pixels, each at its own place.
Tensor shifted(const Tensor& images, int64_t shift, const Streams& streams) {
  const auto count = images.size(0), height = images.size(2), width = images.size(3);
  const auto padded = at::reflection_pad2d(images, {shift, shift, shift, shift});
  const auto place =
      (streams.fork(Purpose::kCrop).uniform({count, 2}) * (2 * shift + 1)).to(at::kLong);
  const auto at = place.accessor<int64_t, 2>();
  auto moved = at::empty_like(images);
  for (int64_t i = 0; i < count; ++i) {
    moved[i].copy_(padded[i].narrow(1, at[i][0], height).narrow(2, at[i][1], width));
  }
  return moved;
}

}  // namespace

Tensor augment(const Tensor& images, const AugmentOptions& options, const Streams& streams) {
  auto result = options.shift > 0 ? shifted(images, options.shift, streams) : images;
  if (options.colour > 0) {
    const std::vector<int64_t> shape{images.size(0), 3, 1, 1};
    const auto gain = symmetric(streams.fork(Purpose::kColour, 0), shape) * options.colour;
    const auto offset = symmetric(streams.fork(Purpose::kColour, 1), shape) * options.colour;
    result = (result * (1 + gain) + 127.5 * offset).clamp(0, 255);
  }
  return result;
}

}  // namespace bitdiff
