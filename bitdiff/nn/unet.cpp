#include "bitdiff/nn/unet.h"

#include <algorithm>
#include <numbers>
#include <optional>
#include <utility>

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/upsample_nearest2d.h>

#include "bitdiff/base/autocast.h"
#include "bitdiff/base/error.h"
#include "bitdiff/kernels/group_norm.h"
#include "bitdiff/nn/checkpointed.h"
#include "bitdiff/nn/layers.h"

namespace bitdiff {
namespace {

int64_t norm_groups(int64_t channels) { return std::min<int64_t>(channels / 4, 32); }
int64_t attention_groups(int64_t channels) { return channels % 32 == 0 ? 32 : channels / 4; }

/// (skip(x) + conv1(silu(norm1(conv0(silu(norm0(x)))) * (1 + scale) + shift))) / sqrt(2), with
/// scale and shift from the time.
struct ResBlock {
  struct Shape {
    int64_t in, out, time;
    double dropout;
    int64_t layer;  ///< Its number among all blocks.
  };

  ResBlock(const Shape& s, const Scope& scope)
      : norm0(s.in, norm_groups(s.in), scope / "norm0"),
        conv0(s.in, s.out, scope / "conv0"),
        scale_shift(s.time, 2 * s.out, scope / "scale_shift"),
        norm1(s.out, norm_groups(s.out), scope / "norm1"),
        conv1(s.out, s.out, scope / "conv1", {.init_scale = kSilentInit}),
        dropout_rate(s.dropout),
        layer(s.layer) {
    if (s.in != s.out) skip.emplace(s.in, s.out, scope / "skip", Conv2d::Options{.kernel = 1});
  }

  /// The channels of x may come in several tensors, one behind the other.
  Tensor operator()(const std::vector<Tensor>& x, const Tensor& time, const Condition& cond) const {
    const auto h = conv0.of_silu(x, norm0.weights(time.size(0)));
    const auto rest = skip ? (*skip)(x) : x[0];
    const auto norm = norm1.weights(scale_shift(time));
    if (cond.dropout && dropout_rate > 0) {
      const auto a =
          kernels::group_norm(h, norm.groups, norm.weight, norm.bias, kernels::Activation::kSilu);
      return scaled_sum(conv1(dropout(a, dropout_rate, cond.dropout, layer)), rest);
    }
    return conv1.of_silu({h}, norm, kernels::Residual{rest, 1 / std::numbers::sqrt2});
  }

  void quantize() {
    conv0.quantize();
    conv1.quantize();
    if (skip) skip->quantize();
  }

  GroupNorm norm0;
  Conv2d conv0;
  Linear scale_shift;
  GroupNorm norm1;
  Conv2d conv1;
  std::optional<Conv2d> skip;
  double dropout_rate;
  int64_t layer;
};

/// (x + attention(norm(x))) / sqrt(2) over all places of an image.
struct ImageAttention {
  ImageAttention(int64_t channels, int64_t head_dim, const Scope& scope)
      : norm(channels, attention_groups(channels), scope / "norm"),
        attention(channels, std::max<int64_t>(channels / head_dim, 1), scope) {}

  Tensor operator()(const Tensor& x) const {
    const auto height = x.size(2), width = x.size(3);
    const auto sequence = norm(x).flatten(2).transpose(1, 2);  // [B, H * W, C]
    const auto y = attention(sequence).transpose(1, 2).unflatten(2, {height, width});
    return scaled_sum(x, y);
  }

  void quantize() {
    attention.qkv.quantize();
    attention.out.quantize();
  }

  GroupNorm norm;
  SelfAttention attention;
};

/// Each place four times: [B, C, 2 H, 2 W].
Tensor twice_as_large(const Tensor& x) {
  const Autocast of_its_type(false, x.device().type());  // On a GPU it would make it float32.
  return at::upsample_nearest2d(x, {2 * x.size(2), 2 * x.size(3)});
}

/// The blocks of one resolution and the convolution that leads to the next.
struct Stage {
  std::vector<ResBlock> block;
  std::vector<ImageAttention> attention;  ///< As many as blocks, or none.
  std::optional<Conv2d> resample;
};

class UNet final : public Denoiser {
 public:
  UNet(const UNetOptions& options, const UNetShape& shape, const Scope& scope);

  Tensor forward(const Tensor& x_t, const Tensor& x0_prev, const Tensor& gamma,
                 const Condition& cond) const override;
  void quantize() override;

 private:
  void add_block(Stage& stage, int64_t in, int64_t out, int64_t resolution, const Scope& scope);
  Tensor run(const ResBlock& block, std::vector<Tensor> x, const Tensor& time,
             const Condition& cond) const;
  Tensor attend(const Stage& stage, size_t index, const Tensor& x) const;
  Tensor go_down(Tensor x, const Tensor& time, const Condition& cond,
                 std::vector<Tensor>& skips) const;
  Tensor go_up(Tensor x, const Tensor& time, const Condition& cond,
               std::vector<Tensor>& skips) const;

  UNetOptions options_;
  int64_t layers_ = 0;  ///< Blocks so far.
  TimeEmbedding time_;
  Conv2d conv_in_;
  GroupNorm norm_in_;
  std::vector<Stage> down_, up_;
  GroupNorm norm_out_;
  Conv2d conv_out_;
};

UNet::UNet(const UNetOptions& options, const UNetShape& shape, const Scope& scope)
    : options_(options),
      time_(options.time, {options.dim, 4 * options.dim, shape.classes}, scope / "time"),
      conv_in_(2 * shape.in_channels, options.dim * options.mult[0], scope / "conv_in"),
      norm_in_(options.dim * options.mult[0], norm_groups(options.dim * options.mult[0]),
               scope / "norm_in"),
      norm_out_(options.dim * options.mult[0], norm_groups(options.dim * options.mult[0]),
                scope / "norm_out"),
      conv_out_(options.dim * options.mult[0], shape.out_channels, scope / "conv_out",
                {.kernel = shape.out_kernel, .init_scale = kSilentInit}) {
  const auto stages = static_cast<int64_t>(options.mult.size());
  int64_t resolution = shape.resolution;
  int64_t channels = options.dim * options.mult[0];
  std::vector<int64_t> skips{channels};

  for (int64_t i = 0; i < stages; ++i) {
    const auto here = scope / "down" / i;
    auto& stage = down_.emplace_back();
    for (int64_t j = 0; j < options.blocks; ++j) {
      add_block(stage, channels, options.dim * options.mult[i], resolution, here);
      channels = options.dim * options.mult[i];
      skips.push_back(channels);
    }
    if (i + 1 == stages) break;
    stage.resample.emplace(channels, channels, here / "shrink", Conv2d::Options{.stride = 2});
    skips.push_back(channels);
    resolution /= 2;
  }

  for (int64_t i = stages - 1; i >= 0; --i) {
    const auto here = scope / "up" / (stages - 1 - i);
    auto& stage = up_.emplace_back();
    for (int64_t j = 0; j < options.blocks + 1; ++j) {
      add_block(stage, channels + skips.back(), options.dim * options.mult[i], resolution, here);
      channels = options.dim * options.mult[i];
      skips.pop_back();
    }
    if (i == 0) break;
    stage.resample.emplace(channels, channels, here / "grow");
    resolution *= 2;
  }
}

void UNet::add_block(Stage& stage, int64_t in, int64_t out, int64_t resolution,
                     const Scope& scope) {
  const auto index = static_cast<int64_t>(stage.block.size());
  stage.block.emplace_back(ResBlock::Shape{in, out, 4 * options_.dim, options_.dropout, layers_++},
                           scope / "block" / index);
  const auto& at = options_.attention;
  if (std::find(at.begin(), at.end(), resolution) != at.end())
    stage.attention.emplace_back(out, options_.head_dim, scope / "attention" / index);
}

Tensor UNet::forward(const Tensor& x_t, const Tensor& x0_prev, const Tensor& gamma,
                     const Condition& cond) const {
  const int64_t factor = int64_t{1} << (options_.mult.size() - 1);
  TORCH_CHECK(x_t.dim() == 4 && x_t.size(2) % factor == 0 && x_t.size(3) % factor == 0,
              "UNet: expected [B, C, H, W] with H and W multiples of ", factor, ", got ",
              x_t.sizes());
  const auto time = time_(gamma, cond.label);
  // Channels last is what the convolutions and the attention read fastest.
  const auto input = at::cat({x_t, x0_prev}, 1).contiguous(at::MemoryFormat::ChannelsLast);
  auto x = norm_in_(conv_in_(input));
  std::vector<Tensor> skips{x};
  x = go_down(x, time, cond, skips);
  x = go_up(x, time, cond, skips);
  return conv_out_(activate(norm_out_(x))).contiguous();
}

// What remains in float32 is little of the whole, and next to the data and the answer.
void UNet::quantize() {
  for (auto* stages : {&down_, &up_}) {
    for (auto& stage : *stages) {
      for (auto& block : stage.block) block.quantize();
      for (auto& attention : stage.attention) attention.quantize();
      if (stage.resample && stage.resample->stride == 1) stage.resample->quantize();
    }
  }
}

Tensor UNet::run(const ResBlock& block, std::vector<Tensor> x, const Tensor& time,
                 const Condition& cond) const {
  if (!options_.activation_checkpointing) return block(x, time, cond);
  x.push_back(time);
  return checkpointed(
      [&block, cond](std::vector<Tensor> inputs) {
        const auto clock = inputs.back();
        inputs.pop_back();
        return block(inputs, clock, cond);
      },
      x);
}

Tensor UNet::attend(const Stage& stage, size_t index, const Tensor& x) const {
  if (stage.attention.empty()) return x;
  const auto& attention = stage.attention[index];
  if (!options_.activation_checkpointing) return attention(x);
  return checkpointed(
      [&attention](const std::vector<Tensor>& inputs) { return attention(inputs[0]); }, {x});
}

Tensor UNet::go_down(Tensor x, const Tensor& time, const Condition& cond,
                     std::vector<Tensor>& skips) const {
  for (const auto& stage : down_) {
    for (size_t i = 0; i < stage.block.size(); ++i) {
      x = run(stage.block[i], {x}, time, cond);
      skips.push_back(x);  // Before the attention, as the authors' code.
      x = attend(stage, i, x);
    }
    if (!stage.resample) continue;
    x = (*stage.resample)(x);
    skips.push_back(x);
  }
  return x;
}

Tensor UNet::go_up(Tensor x, const Tensor& time, const Condition& cond,
                   std::vector<Tensor>& skips) const {
  for (const auto& stage : up_) {
    for (size_t i = 0; i < stage.block.size(); ++i) {
      x = run(stage.block[i], {x, skips.back()}, time, cond);
      skips.pop_back();
      x = attend(stage, i, x);
    }
    if (!stage.resample) continue;
    x = (*stage.resample)(twice_as_large(x));
  }
  return x;
}

}  // namespace

std::unique_ptr<Denoiser> make_unet(const UNetOptions& options, const UNetShape& shape,
                                    const Scope& scope) {
  if (options.mult.empty()) throw UsageError("a U-Net needs at least one stage, mult is empty");
  const int64_t factor = int64_t{1} << (options.mult.size() - 1);
  for (const auto& [side, name] :
       {std::pair{shape.resolution, "height "}, std::pair{shape.width, "width "}}) {
    if (side % factor != 0)
      throw UsageError("images of ", name, side, " cannot be halved ", options.mult.size() - 1,
                       " times; give mult fewer entries");
  }
  return std::make_unique<UNet>(options, shape, scope);
}

}  // namespace bitdiff
