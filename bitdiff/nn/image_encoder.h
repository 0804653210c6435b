#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bitdiff/base/options.h"
#include "bitdiff/base/random.h"
#include "bitdiff/nn/parameters.h"

namespace bitdiff {

/// A Vision Transformer (Dosovitskiy et al., 2021). ViT-B/16 is patch 16, layers 12, width 768,
/// heads 12.
struct ImageEncoderOptions {
  int64_t patch = 8;
  int64_t layers = 4;
  int64_t width = 256;
  int64_t heads = 4;
  int64_t mlp = 4;
  double dropout = 0;
  std::string weights = {};

  template <class Visitor>
  void visit(Visitor& v) {
    v.number("patch", patch, at_least(1), "side of the squares an image is cut into, in pixels");
    v.number("layers", layers, at_least(0), "blocks of attention and MLP");
    v.number("width", width, at_least(1), "width of a patch's vector");
    v.number("heads", heads, at_least(1), "attention heads of each block; they divide the width");
    v.number("mlp", mlp, at_least(1), "hidden width of the MLP, in units of width");
    v.number("dropout", dropout, between(0, 0.99), "dropout on what attention and MLP add");
    v.text("weights", weights, "a .safetensors of a ViT as timm names it to begin with; or empty");
  }
};

/// Turns images into what a network looks at: Condition::context.
class ImageEncoder {
 public:
  ImageEncoder() = default;
  ImageEncoder(const ImageEncoder&) = delete;
  ImageEncoder& operator=(const ImageEncoder&) = delete;
  virtual ~ImageEncoder() = default;

  /// `image`: uint8 [B, 3, H, W] or features [B, M, D], see Batch. `dropout`: where it draws from
  /// in training, or absent. Returns float32 [B, M', D'], D' as asked for.
  virtual Tensor forward(const Tensor& image, const std::optional<Streams>& dropout) const = 0;
};

/// An encoder with new parameters under `scope` for images of `image_shape` (DataInfo): of pixels a
/// Vision Transformer, of which all tokens go through a linear layer to `width_out` and layer
/// normalisation (the connector of Pix2Seq); of features that layer alone, and `options` do not
/// matter. Throws UsageError when the patch does not divide the image or the heads the width.
std::unique_ptr<ImageEncoder> make_image_encoder(const ImageEncoderOptions& options,
                                                 const std::vector<int64_t>& image_shape,
                                                 int64_t width_out, const Scope& scope);

}  // namespace bitdiff
