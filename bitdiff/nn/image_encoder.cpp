#include "bitdiff/nn/image_encoder.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/conv2d.h>
#include <c10/util/Exception.h>

#include "bitdiff/base/error.h"
#include "bitdiff/nn/layers.h"
#include "bitdiff/nn/transformer_block.h"

namespace bitdiff {
namespace {

/// From an encoder's vectors to those a decoder looks at.
struct Connector {
  Connector(int64_t in, int64_t out, const Scope& scope)
      : dense(in, out, scope / "dense"), norm(out, scope / "norm") {}
  Tensor operator()(const Tensor& x) const { return norm(dense(x)); }

  Linear dense;
  LayerNorm norm;
};

class VisionTransformer final : public ImageEncoder {
 public:
  VisionTransformer(const ImageEncoderOptions& options, const std::vector<int64_t>& image_shape,
                    int64_t width_out, const Scope& scope)
      : image_shape_(image_shape),
        patch_(options.patch),
        patch_weight_(scope.add("patch.weight", {options.width, 3, patch_, patch_})),
        patch_bias_(scope.add_filled("patch.bias", {options.width}, 0)),
        class_token_(scope.add_filled("class_token", {1, options.width}, 0)),
        positions_(scope.add("positions", {patches() + 1, options.width})),
        norm_(options.width, scope / "norm"),
        connector_(options.width, width_out, scope / "connector") {
    for (int64_t i = 0; i < options.layers; ++i) {
      block_.emplace_back(TransformerBlock::Shape{.width = options.width,
                                                  .heads = options.heads,
                                                  .mlp = options.mlp,
                                                  .dropout = options.dropout,
                                                  .timed = false,
                                                  .context_width = 0,
                                                  .number = i},
                          scope / "block" / i);
    }
  }

  Tensor forward(const Tensor& image, const std::optional<Streams>& dropout) const override {
    TORCH_CHECK(image.dim() == 4 && image.sizes().slice(1) == IntArrayRef(image_shape_),
                "VisionTransformer: expected images ", IntArrayRef(image_shape_), ", got ",
                image.sizes());
    const auto pixels = image.to(at::kFloat) / 127.5 - 1;  // As timm prepares them.
    const auto patches = at::conv2d(pixels, patch_weight_, patch_bias_, patch_).flatten(2);
    const auto class_token = class_token_.expand({image.size(0), 1, class_token_.size(1)});
    auto x = at::cat({class_token, patches.transpose(1, 2)}, 1) + positions_;
    for (const auto& block : block_) x = block(x, {}, {}, dropout);
    return connector_(norm_(x));
  }

 private:
  int64_t patches() const { return image_shape_[1] / patch_ * (image_shape_[2] / patch_); }

  std::vector<int64_t> image_shape_;
  int64_t patch_;
  Tensor patch_weight_, patch_bias_, class_token_, positions_;
  std::vector<TransformerBlock> block_;
  LayerNorm norm_;
  Connector connector_;
};

class Features final : public ImageEncoder {
 public:
  Features(int64_t width, int64_t width_out, const Scope& scope)
      : connector_(width, width_out, scope / "connector") {}

  Tensor forward(const Tensor& image, const std::optional<Streams>& /*dropout*/) const override {
    return connector_(image);
  }

 private:
  Connector connector_;
};

}  // namespace

std::unique_ptr<ImageEncoder> make_image_encoder(const ImageEncoderOptions& options,
                                                 const std::vector<int64_t>& image_shape,
                                                 int64_t width_out, const Scope& scope) {
  if (image_shape.size() == 2) {
    return std::make_unique<Features>(image_shape[1], width_out, scope);
  }
  TORCH_CHECK(image_shape.size() == 3 && image_shape[0] == 3,
              "make_image_encoder: expected [3, H, W] or [M, D], got ", IntArrayRef(image_shape));
  if (image_shape[1] % options.patch != 0 || image_shape[2] % options.patch != 0) {
    throw UsageError("encoder.patch = ", options.patch, ": expected a divisor of the image's ",
                     image_shape[1], " x ", image_shape[2], " pixels");
  }
  return std::make_unique<VisionTransformer>(options, image_shape, width_out, scope);
}

}  // namespace bitdiff
