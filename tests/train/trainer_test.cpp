#include "bitdiff/train/trainer.h"

#include <cmath>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "bitdiff/base/error.h"
#include "bitdiff/data/tokenizer.h"

namespace bitdiff {
namespace {

/// 32 examples of 8x8 with four categories: stripes.
class Stripes final : public Dataset {
 public:
  const DataInfo& info() const override { return info_; }
  int64_t size() const override { return 32; }
  Batch get(std::span<const int64_t> indices) const override {
    std::vector<Tensor> rows;
    for (const int64_t i : indices) {
      rows.push_back(((at::arange(8) + i) % 4).expand({1, 8, 8}).to(at::kByte));
    }
    return {at::stack(rows), {}};
  }

 private:
  DataInfo info_{.shape = {1, 8, 8}, .categories = {4}, .classes = 0, .palette = {}};
};

ModelOptions small_unet(double dropout = 0) {
  ModelOptions options;
  options.unet.dim = 32;
  options.unet.mult = {1};
  options.unet.blocks = 1;
  options.unet.dropout = dropout;
  return options;
}

struct Training {
  explicit Training(const TrainOptions& options, double dropout = 0)
      : data(std::make_shared<Stripes>()),
        model(make_model(small_unet(dropout), data->info(), options.seed)),
        trainer(options, model, data, {.flip = true}, group) {}

  /// Losses of the next `steps` updates.
  std::vector<double> run(int64_t steps) {
    std::vector<double> losses;
    for (int64_t i = 0; i < steps; ++i) losses.push_back(trainer.update().loss);
    return losses;
  }

  std::shared_ptr<const Dataset> data;
  Model model;
  GroupOfOne group;
  Trainer trainer;
};

const TrainOptions kOptions{.steps = 100, .batch = 8, .adam = {.lr = 1e-3}, .ema = 0.9};

bool same(const NamedTensors& a, const NamedTensors& b) {
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i].first != b[i].first || !a[i].second.equal(b[i].second)) return false;
  }
  return a.size() == b.size();
}

TEST(Trainer, LearnsAndTheHeldOutLossFalls) {
  Training training(kOptions);
  const double before = training.trainer.evaluate(*training.data);
  EXPECT_NEAR(before, 1, 0.01);  // A silent network: the bits' own variance.
  training.run(60);
  EXPECT_LT(training.trainer.evaluate(*training.data), 0.7 * before);
}

TEST(Trainer, TheSameSeedGivesTheSameWeightsToTheLastBit) {
  Training a(kOptions, 0.1);
  Training b(kOptions, 0.1);
  EXPECT_EQ(a.run(4), b.run(4));
  EXPECT_TRUE(same(a.model.parameters.named(), b.model.parameters.named()));
  auto other = kOptions;
  other.seed = 1;
  EXPECT_NE(Training(other).run(1), Training(kOptions).run(1));
}

TEST(Trainer, AResumedRunGoesOnBitForBit) {
  Training whole(kOptions, 0.1);
  const auto losses = whole.run(6);

  Training first(kOptions, 0.1);
  first.run(3);
  Training second(kOptions, 0.1);
  second.trainer.resume("here", first.trainer.checkpoint());
  EXPECT_EQ(second.trainer.step(), 3);
  EXPECT_EQ(second.run(3), std::vector<double>(losses.begin() + 3, losses.end()));
  EXPECT_TRUE(same(whole.model.parameters.named(), second.model.parameters.named()));
  EXPECT_TRUE(same(whole.trainer.ema().averages(), second.trainer.ema().averages()));
}

TEST(Trainer, APiecewiseGradientIsThatOfTheWholeBatch) {
  auto pieces = kOptions;
  pieces.accumulate = 4;
  Training a(kOptions);
  Training b(pieces);
  const auto whole = a.trainer.update();
  const auto summed = b.trainer.update();
  EXPECT_NEAR(whole.loss, summed.loss, 1e-6);
  EXPECT_NEAR(whole.grad_norm, summed.grad_norm, 1e-5 * whole.grad_norm);
  pieces.accumulate = 3;
  EXPECT_THROW(Training{pieces}, UsageError);
}

/// 32 texts of 1 to 8 bytes.
class Texts final : public Dataset {
 public:
  const DataInfo& info() const override { return info_; }
  int64_t size() const override { return 32; }
  Batch get(std::span<const int64_t> indices) const override {
    auto x = at::zeros({static_cast<int64_t>(indices.size()), 1, 9}, at::kByte);
    for (size_t i = 0; i < indices.size(); ++i) {
      const auto text = x[static_cast<int64_t>(i)][0];
      const int64_t bytes = 1 + indices[i] * indices[i] % 8;
      text.slice(0, 0, bytes).fill_(97 + indices[i] % 3);
      text[bytes] = info_.text.tokenizer->eos();
    }
    return {x, {}};
  }

 private:
  DataInfo info_{.shape = {1, 9}, .text = {.tokenizer = load_tokenizer("bytes")}};
};

// Its loss is a mean over tokens, of which pieces have different numbers.
TEST(Trainer, APieceOfTextWeighsAsManyTokensAsItHas) {
  const auto data = std::make_shared<Texts>();
  ModelOptions options;
  options.network = Network::kArTransformer;
  options.transformer = {.layers = 1, .width = 32, .heads = 2};
  const auto update = [&](int64_t accumulate) {
    auto train = kOptions;
    train.accumulate = accumulate;
    auto model = make_model(options, data->info(), 0);
    GroupOfOne group;
    Trainer trainer(train, model, data, {}, group);
    return trainer.update();
  };
  const auto whole = update(1), summed = update(4);
  EXPECT_NEAR(whole.loss, summed.loss, 1e-6);
  EXPECT_NEAR(whole.grad_norm, summed.grad_norm, 1e-5 * whole.grad_norm);
}

TEST(Trainer, EvaluationLeavesNoTrace) {
  Training a(kOptions);
  Training b(kOptions);
  a.run(2);
  b.run(2);
  const double first = a.trainer.evaluate(*a.data);
  EXPECT_EQ(first, a.trainer.evaluate(*a.data));
  EXPECT_EQ(a.run(2), b.run(2));
}

TEST(Trainer, BFloat16StaysNearFloat32) {
  auto bf16 = kOptions;
  bf16.bf16 = true;
  EXPECT_NEAR(Training(bf16).run(1)[0], Training(kOptions).run(1)[0], 0.01);
}

TEST(Trainer, StopsAtALossThatIsNotFinite) {
  Training training(kOptions);
  training.model.parameters.named().back().second.detach().fill_(std::nan(""));
  EXPECT_THROW(training.trainer.update(), NumbersError);
  EXPECT_EQ(training.trainer.step(), 0);
}

TEST(LrAt, WarmsUpAndDecays) {
  TrainOptions options{.steps = 110, .adam = {.lr = 1}, .warmup = 10};
  EXPECT_NEAR(lr_at(0, options), 0.1, 1e-12);
  EXPECT_NEAR(lr_at(9, options), 1, 1e-12);
  EXPECT_EQ(lr_at(100, options), 1);
  options.decay = LrDecay::kLinear;
  EXPECT_NEAR(lr_at(60, options), 0.5, 1e-12);
  options.decay = LrDecay::kCosine;
  EXPECT_NEAR(lr_at(60, options), 0.5, 1e-12);
  EXPECT_NEAR(lr_at(110, options), 0, 1e-12);
}

TEST(Adam, TakesTheStepsOfTheTextbook) {
  auto w = at::tensor({1.0f, -2.0f}).requires_grad_();
  Adam adam({.lr = 0.1, .weight_decay = 0.5, .clip = 1}, {{"w", w}});
  double m = 0, v = 0, x = 1;
  for (int step = 1; step <= 3; ++step) {
    w.mutable_grad() = at::tensor({3.0f, 4.0f});  // Norm 5, clipped to (0.6, 0.8).
    EXPECT_NEAR(adam.step(0.1), 5, 1e-6);
    m = 0.9 * m + 0.1 * 0.6;
    v = 0.999 * v + 0.001 * 0.36;
    x -= 0.1 * 0.5 * x;
    x -=
        0.1 * (m / (1 - std::pow(0.9, step))) / (std::sqrt(v / (1 - std::pow(0.999, step))) + 1e-8);
    EXPECT_NEAR(w[0].item<double>(), x, 1e-6);
  }
}

TEST(Ema, BeginsAtTheWeightsAndFollowsThem) {
  auto w = at::full({1}, 1.0f).requires_grad_();
  Ema ema(0.9, {{"w", w}});
  EXPECT_EQ(ema.averages()[0].second.item<float>(), 1.0f);
  w.detach().fill_(2);
  ema.update();
  EXPECT_NEAR(ema.averages()[0].second.item<float>(), 1.1f, 1e-6f);
  {
    const Ema::Scope averaged(ema);
    EXPECT_NEAR(w.item<float>(), 1.1f, 1e-6f);
  }
  EXPECT_EQ(w.item<float>(), 2.0f);
}

}  // namespace
}  // namespace bitdiff
