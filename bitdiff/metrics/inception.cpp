#include "bitdiff/metrics/inception.h"

#include <utility>

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/max_pool2d.h>
#include <ATen/ops/upsample_bilinear2d.h>
#include <c10/core/GradMode.h>
#include <c10/core/MemoryFormat.h>

#include "bitdiff/metrics/inception_blocks.h"

namespace bitdiff {
namespace {

using namespace inception;

constexpr int64_t kSide = 299;
constexpr int64_t kSpatialChannels = 7;

// The two pixels between which each new one lies, and how far it is on the way to the second.
struct Neighbours {
  Tensor low, high, share;
};

Neighbours tf_neighbours(int64_t size) {
  const auto scale = static_cast<float>(size) / static_cast<float>(kSide);
  const auto place = at::arange(kSide, at::kFloat).mul(scale);
  const auto low = place.to(at::kLong);
  return {low, low.add(1).clamp_max(size - 1), place.sub(low)};
}

// resize_bilinear of TensorFlow 1 with align_corners=False: pixel i of the new image lies at
// i * size / 299 of the old one.
Tensor resize_like_tf(const Tensor& x) {
  const auto columns = tf_neighbours(x.size(3));
  const auto across = x.index_select(3, columns.low);
  const auto wide = across + (x.index_select(3, columns.high) - across) * columns.share;
  const auto rows = tf_neighbours(x.size(2));
  const auto top = wide.index_select(2, rows.low);
  return top + (wide.index_select(2, rows.high) - top) * rows.share.view({kSide, 1});
}

class Inception final : public FeatureExtractor {
 public:
  Inception(const Place& at, InceptionResize resize, std::string hash)
      : resize_(resize),
        hash_(std::move(hash)),
        conv_1a_(at / "Conv2d_1a_3x3", 3, 32, {3, 3}, 2, Border::kValid),
        conv_2a_(at / "Conv2d_2a_3x3", 32, 32, {3, 3}, 1, Border::kValid),
        conv_2b_(at / "Conv2d_2b_3x3", 32, 64, {3, 3}),
        conv_3b_(at / "Conv2d_3b_1x1", 64, 80, {1, 1}),
        conv_4a_(at / "Conv2d_4a_3x3", 80, 192, {3, 3}, 1, Border::kValid),
        mixed_5b_(at / "Mixed_5b", 192, 32),
        mixed_5c_(at / "Mixed_5c", 256, 64),
        mixed_5d_(at / "Mixed_5d", 288, 64),
        mixed_6a_(at / "Mixed_6a", 288),
        mixed_6b_(at / "Mixed_6b", 768, 128),
        mixed_6c_(at / "Mixed_6c", 768, 160),
        mixed_6d_(at / "Mixed_6d", 768, 160),
        mixed_6e_(at / "Mixed_6e", 768, 192),
        mixed_7a_(at / "Mixed_7a", 768),
        mixed_7b_(at / "Mixed_7b", 1280, Pool::kAverage),
        mixed_7c_(at / "Mixed_7c", 2048, Pool::kMax),
        fc_((at / "fc").get("weight", {1008, 2048})) {}

  std::string name() const override { return "inception-2015-12-05"; }

  std::string description() const override {
    const std::string resize = resize_ == InceptionResize::kTf ? "tf" : "torch";
    return "weights sha256 " + hash_ + ", resize " + resize + ", float32";
  }

  Output operator()(const Tensor& images) const override {
    const c10::NoGradGuard no_grad;
    auto x = inception_input(images, resize_).contiguous(at::MemoryFormat::ChannelsLast);
    x = at::max_pool2d(conv_2b_(conv_2a_(conv_1a_(x))), 3, 2);
    x = at::max_pool2d(conv_4a_(conv_3b_(x)), 3, 2);
    x = mixed_6a_(mixed_5d_(mixed_5c_(mixed_5b_(x))));
    x = mixed_6c_(mixed_6b_(x));
    // The graph numbers its blocks from mixed: its mixed_6 is Mixed_6d here.
    const auto spatial = mixed_6d_.first_branch(x).narrow(1, 0, kSpatialChannels).flatten(1);
    x = mixed_6e_(mixed_6d_(x));
    x = mixed_7c_(mixed_7b_(mixed_7a_(x)));
    const auto features = x.mean({2, 3});
    return {features, at::linear(features, fc_), spatial};
  }

 private:
  InceptionResize resize_;
  std::string hash_;
  Conv conv_1a_, conv_2a_, conv_2b_, conv_3b_, conv_4a_;
  BlockA mixed_5b_, mixed_5c_, mixed_5d_;
  BlockB mixed_6a_;
  BlockC mixed_6b_, mixed_6c_, mixed_6d_, mixed_6e_;
  BlockD mixed_7a_;
  BlockE mixed_7b_, mixed_7c_;
  Tensor fc_;
};

}  // namespace

const Words<InceptionResize>& inception_resize_words() {
  static const Words<InceptionResize> words = {{"tf", InceptionResize::kTf},
                                               {"torch", InceptionResize::kTorch}};
  return words;
}

Tensor inception_input(const Tensor& images, InceptionResize resize) {
  TORCH_CHECK(images.dim() == 4 && images.size(1) == 3 && images.scalar_type() == at::kByte,
              "expected images uint8 [N, 3, H, W], got ", images.scalar_type(), " ",
              images.sizes());
  const auto pixels = images.to(at::kFloat);
  if (resize == InceptionResize::kTf) return resize_like_tf(pixels).sub_(128).div_(128);
  return at::upsample_bilinear2d(pixels.div(255), {kSide, kSide}, /*align_corners=*/false)
      .mul_(2)
      .sub_(1);
}

std::unique_ptr<FeatureExtractor> make_inception(const WeightSource& weights,
                                                 InceptionResize resize, const std::string& hash) {
  return std::make_unique<Inception>(Place{weights}, resize, hash);
}

}  // namespace bitdiff
