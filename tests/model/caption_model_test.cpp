// Models that describe images.

#include <map>

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include "bitdiff/base/error.h"
#include "bitdiff/data/tokenizer.h"
#include "bitdiff/io/safetensors.h"
#include "bitdiff/model/draw.h"
#include "bitdiff/model/loss.h"
#include "bitdiff/model/pretrained.h"
#include "tests/support/temporary_folder.h"

namespace bitdiff {
namespace {

DataInfo captions_of(std::vector<int64_t> image_shape) {
  return {.shape = {1, 6},
          .categories = {256},
          .text = {.tokenizer = load_tokenizer("bytes")},
          .image_shape = std::move(image_shape)};
}

ModelOptions small() {
  ModelOptions options;
  options.network = Network::kTransformer;
  options.transformer = {.layers = 1, .width = 16, .heads = 2, .mlp = 2};
  options.encoder = {.patch = 4, .layers = 2, .width = 12, .heads = 3, .mlp = 2};
  return options;
}

Tensor pixels(int64_t count) {
  return (Streams(2, std::vector<int64_t>(count, 0)).uniform({count, 3, 8, 8}) * 255).to(at::kByte);
}

/// Layers that start silent would hide what stands before them.
void wake(const Model& model) {
  const c10::NoGradGuard no_grad;
  for (auto& tensor : model.parameters.tensors()) {
    const auto count = tensor.numel();
    if (tensor.abs().max().item<double>() < 1e-3)
      tensor.copy_(Streams(count, {0}).normal({1, count}).view(tensor.sizes()) * 0.1);
  }
}

Batch batch_of(const std::vector<std::string>& lines) {
  auto x = at::zeros({static_cast<int64_t>(lines.size()), 1, 6}, at::kByte);
  for (size_t i = 0; i < lines.size(); ++i) {
    for (size_t j = 0; j < lines[i].size(); ++j) x[i][0][j] = lines[i][j];
  }
  return {.x = x, .label = {}, .image = pixels(static_cast<int64_t>(lines.size()))};
}

TEST(CaptionModel, SeesTheWholeImageAndTrainsItsEncoder) {
  const auto model = make_model(small(), captions_of({3, 8, 8}), 0);
  wake(model);
  const Streams streams(5, {0, 1});
  const auto batch = batch_of({"ab\n", "cdef\n"});
  model_loss(model, batch, streams, 1, true).mean.backward();
  for (const auto& [name, tensor] : model.parameters.named()) {
    ASSERT_TRUE(tensor.grad().defined()) << name;
    EXPECT_GT(tensor.grad().abs().max().item<double>(), 0) << name;
  }

  const auto before = model_loss(model, batch, streams, 1, false).mean.item<double>();
  for (const auto& [row, column] : {std::pair{0, 0}, {7, 7}, {3, 4}}) {
    auto changed = batch;
    changed.image = batch.image.clone();
    changed.image.select(2, row).select(2, column).bitwise_not_();
    EXPECT_NE(model_loss(model, changed, streams, 1, false).mean.item<double>(), before);
  }
}

TEST(CaptionModel, DrawsTheSameCaptionWhateverImagesStandBeside) {
  const auto model = make_model(small(), captions_of({3, 8, 8}), 0);
  wake(model);
  auto images = pixels(1).repeat({6, 1, 1, 1});
  images.select(0, 1).bitwise_not_();
  DrawOptions options{.generate = {.steps = 3}, .micro_batch = 4, .images = in_turn(images)};
  const auto all = draw_bits(model, options, 0, 6).x_bits;
  EXPECT_TRUE(draw_bits(model, options, 1, 3).x_bits.equal(all.slice(0, 1, 3)));

  auto other = options;
  images = images.clone();
  images.select(0, 1).bitwise_not_();
  other.images = in_turn(images);
  const auto changed = draw_bits(model, other, 0, 6).x_bits.ne(all).flatten(1).any(1);
  EXPECT_TRUE(changed.equal(at::arange(6).eq(1)));

  options.images = nullptr;
  EXPECT_THROW(draw_bits(model, options, 0, 1), UsageError);
}

TEST(CaptionModel, TakesFeaturesFromFiles) {
  const auto model = make_model(small(), captions_of({5, 7}), 0);
  wake(model);
  const auto features = Streams(1, {0, 1}).normal({2, 5, 7});
  const auto cond = model.condition_of({}, features, {});
  EXPECT_EQ(cond.context.sizes(), IntArrayRef({2, 5, 16}));
  auto batch = batch_of({"ab\n", "cdef\n"});
  batch.image = features;
  EXPECT_GT(model_loss(model, batch, Streams(5, {0, 1}), 1, false).mean.item<double>(), 0);
}

TEST(CaptionModel, RefusesWhatItCannotSee) {
  auto odd = small();
  odd.encoder.patch = 3;
  EXPECT_THROW(make_model(odd, captions_of({3, 8, 8}), 0), UsageError);
  auto heads = small();
  heads.encoder.heads = 5;
  EXPECT_THROW(make_model(heads, captions_of({3, 8, 8}), 0), UsageError);
  ModelOptions unet;
  EXPECT_THROW(make_model(unet, captions_of({3, 8, 8}), 0), UsageError);
  auto bits = small();
  bits.transformer.embedding = BitEmbedding::kTokens;
  EXPECT_THROW(make_model(bits, captions_of({3, 8, 8}), 0), UsageError);
}

TEST(ModelLoss, WeighsWhatComesAfterTheEndOfASentence) {
  const auto loss = [](double pad_weight, const std::string& line) {
    auto options = small();
    options.process.pad_weight = pad_weight;
    options.process.self_cond_rate = 0;
    const auto model = make_model(options, captions_of({3, 8, 8}), 0);
    return model_loss(model, batch_of({line}), Streams(5, {3}), 0, false).mean.item<double>();
  };
  // The network of a new model answers with zeros, so that the loss of every bit is 1.
  EXPECT_NEAR(loss(1, "ab\n"), 1, 1e-5);
  EXPECT_NEAR(loss(0, "ab\n"), 3.0 / 6, 1e-5);
  EXPECT_NEAR(loss(0.5, "ab\n"), 4.5 / 6, 1e-5);
  EXPECT_NEAR(loss(0, "abcdef"), 1, 1e-5);
  EXPECT_NEAR(loss(0, "a\nb\n"), 2.0 / 6, 1e-5);
}

/// The ViT of timm, written by its names.
Tensor plain_vit(std::map<std::string, Tensor>& w, const Tensor& image, int64_t layers,
                 int64_t heads) {
  const auto linear = [&](const Tensor& x, const std::string& name) {
    return at::linear(x, w[name + ".weight"], w[name + ".bias"]);
  };
  const auto norm = [&](const Tensor& x, const std::string& name) {
    return at::layer_norm(x, {x.size(-1)}, w[name + ".weight"], w[name + ".bias"], 1e-6);
  };
  const auto& kernel = w["patch_embed.proj.weight"];
  const int64_t patch = kernel.size(2);
  auto x = at::conv2d((image.to(at::kFloat) / 255 - 0.5) / 0.5, kernel, w["patch_embed.proj.bias"],
                      patch)
               .flatten(2)
               .transpose(1, 2);
  x = at::cat({w["cls_token"].expand({image.size(0), -1, -1}), x}, 1) + w["pos_embed"];
  for (int64_t i = 0; i < layers; ++i) {
    const auto block = str("blocks.", i, ".");
    const auto qkv = linear(norm(x, block + "norm1"), block + "attn.qkv").chunk(3, -1);
    std::vector<Tensor> parts;
    const int64_t size = x.size(2) / heads;
    for (int64_t h = 0; h < heads; ++h) {
      const auto of = [&](int64_t which) { return qkv[which].slice(2, h * size, (h + 1) * size); };
      const auto scores = of(0).matmul(of(1).transpose(1, 2)) / std::sqrt(size);
      parts.push_back(at::softmax(scores, -1).matmul(of(2)));
    }
    x = x + linear(at::cat(parts, 2), block + "attn.proj");
    x = x +
        linear(at::gelu(linear(norm(x, block + "norm2"), block + "mlp.fc1")), block + "mlp.fc2");
  }
  return norm(x, "norm");
}

class Pretrained : public ::testing::Test {
 protected:
  void SetUp() override {
    const int64_t d = 12;
    add("cls_token", {1, 1, d});
    add("pos_embed", {1, 5, d});
    add("patch_embed.proj.weight", {d, 3, 4, 4});
    add("patch_embed.proj.bias", {d});
    for (const std::string block : {"blocks.0.", "blocks.1."}) {
      for (const std::string norm : {"norm1", "norm2"}) {
        add(block + norm + ".weight", {d});
        add(block + norm + ".bias", {d});
      }
      dense(block + "attn.qkv", d, 3 * d);
      dense(block + "attn.proj", d, d);
      dense(block + "mlp.fc1", d, 2 * d);
      dense(block + "mlp.fc2", 2 * d, d);
    }
    add("norm.weight", {d});
    add("norm.bias", {d});
    dense("head", d, 10);
    model_ = make_model(small(), captions_of({3, 8, 8}), 0);
  }

  void add(const std::string& name, IntArrayRef shape) {
    const int64_t index = static_cast<int64_t>(weights_.size());
    weights_[name] =
        Streams(7, {index}).normal({1, c10::multiply_integers(shape)}).view(shape) * 0.3;
  }
  void dense(const std::string& name, int64_t in, int64_t out) {
    add(name + ".weight", {out, in});
    add(name + ".bias", {out});
  }

  void load() {
    TensorFile file;
    for (const auto& [name, tensor] : weights_) file.tensors.emplace_back(name, tensor);
    write_safetensors(folder_ / "vit.safetensors", file);
    load_vit(folder_ / "vit.safetensors", model_.parameters);
  }

  Tensor parameter(const std::string& wanted) const {
    for (const auto& [name, tensor] : model_.parameters.named()) {
      if (name == wanted) return tensor;
    }
    return {};
  }

  TemporaryFolder folder_;
  std::map<std::string, Tensor> weights_;
  Model model_ = make_model(small(), captions_of({3, 8, 8}), 0);
};

TEST_F(Pretrained, IsTheVisionTransformerOfTimm) {
  load();
  const c10::NoGradGuard no_grad;
  const auto image = pixels(2);
  const auto features = plain_vit(weights_, image, 2, 3);
  const auto connected = at::linear(features, parameter("encoder.connector.dense.weight"));
  const auto expected = at::layer_norm(connected, {16});
  EXPECT_TRUE(model_.condition_of({}, image, {}).context.allclose(expected, 1e-4, 1e-4));
}

TEST_F(Pretrained, ResamplesPositionsOfAnotherSquare) {
  add("pos_embed", {1, 17, 12});
  auto grid = at::arange(4).view({1, 4, 1}).expand({4, 4, 12}).reshape({16, 12}).to(at::kFloat);
  weights_["pos_embed"][0].slice(0, 1).copy_(grid);
  load();
  const auto positions = parameter("encoder.positions");
  EXPECT_TRUE(positions[0].equal(weights_["pos_embed"][0][0]));
  // Columns 0 1 2 3 at twice the size: halfway, 0.5 and 2.5 but for what bicubic does at the edge.
  EXPECT_TRUE(positions[1].allclose(positions[3]));
  // Weights of a = -0.5, as with antialiasing: (0.8672 + 2 * 0.2266 - 3 * 0.0703) / 1.8906 there.
  EXPECT_NEAR(positions[1][0].item<double>(), 0.587, 1e-3);
  EXPECT_NEAR((positions[1] + positions[2])[0].item<double>(), 3, 1e-5);
}

TEST_F(Pretrained, SaysWhatDoesNotFit) {
  weights_.erase("blocks.1.norm2.bias");
  EXPECT_THROW(load(), InputError);
  add("blocks.1.norm2.bias", {11});
  EXPECT_THROW(load(), InputError);
  add("blocks.1.norm2.bias", {12});
  add("pos_embed", {1, 7, 12});
  EXPECT_THROW(load(), InputError);
}

}  // namespace
}  // namespace bitdiff
