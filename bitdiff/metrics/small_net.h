#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bitdiff/base/options.h"
#include "bitdiff/nn/layers.h"
#include "bitdiff/nn/parameters.h"

namespace bitdiff {

/// The section [features] of a config.
struct SmallNetOptions {
  std::string name = "small";
  int64_t size = 32;
  std::vector<int64_t> widths = {32, 64, 128};
  int64_t blocks = 1;

  template <class Visitor>
  void visit(Visitor& v) {
    v.text("name", name, "what figures measured with this network are called");
    v.number("size", size, between(4, 256), "side of its images; others are resized by area");
    v.numbers("widths", widths, between(1, 1024),
              "channels at full size, at half of it, at a quarter, ...; the last are the features");
    v.number("blocks", blocks, between(0, 8), "residual blocks at each size but the full one");
  }
};

/// A small residual network of images: a convolution at full size, then stages at half the size
/// of the one before, each a convolution of stride 2 and pre-activation residual blocks (He et
/// al., 2016) with group normalisation and SiLU. Features are the mean of the last stage over all
/// places, class scores are linear in them.
class SmallNet {
 public:
  /// `classes`: 0 for no class scores. New parameters are a function of `seed`. Throws UsageError
  /// when the size cannot be halved as often as `widths` asks.
  SmallNet(const SmallNetOptions& options, int64_t classes, uint64_t seed,
           at::Device device = at::kCPU);
  SmallNet(const SmallNet&) = delete;
  SmallNet& operator=(const SmallNet&) = delete;

  /// `images`: float32 [N, 3, size, size] RGB in [0, 255]. Returns float32 [N, D].
  Tensor features(const Tensor& images) const;

  /// Class scores, float32 [N, classes], of features.
  Tensor logits(const Tensor& features) const;

  const SmallNetOptions& options() const { return options_; }
  int64_t classes() const { return classes_; }
  const Parameters& parameters() const { return parameters_; }

 private:
  struct Block {
    Block(int64_t width, const Scope& scope);
    Tensor operator()(const Tensor& x) const;
    GroupNorm norm0, norm1;
    Conv2d conv0, conv1;
  };
  struct Stage {
    Stage(int64_t in, int64_t out, int64_t blocks, const Scope& scope);
    Tensor operator()(const Tensor& x) const;
    GroupNorm norm;
    Conv2d down;
    std::vector<Block> blocks;
  };

  SmallNetOptions options_;
  int64_t classes_;
  Parameters parameters_;
  Conv2d stem_;
  std::vector<Stage> stages_;
  GroupNorm norm_;
  std::vector<Linear> head_;  ///< One, or none.
};

}  // namespace bitdiff
