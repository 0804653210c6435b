#include "bitdiff/train/feature_trainer.h"

#include <cmath>
#include <numeric>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "bitdiff/base/error.h"
#include "bitdiff/data/memory_dataset.h"

namespace bitdiff {
namespace {

/// 8x8 noise with stripes: level in class 0, upright in class 1.
std::shared_ptr<const Dataset> stripes(int64_t count, uint64_t seed, bool labels) {
  std::vector<int64_t> rows(count);
  std::iota(rows.begin(), rows.end(), 0);
  auto x = Streams(seed, rows).uniform({count, 3, 8, 8}) * 155;
  const auto label = at::arange(count) % 2;
  const auto stripe = (at::arange(8) / 2 % 2 * 100).to(at::kFloat);
  for (int64_t i = 0; i < count; ++i) x[i] += i % 2 ? stripe : stripe.unsqueeze(1);
  return std::make_shared<MemoryDataset>(
      DataInfo{.shape = {3, 8, 8}, .categories = {256}, .classes = labels ? 2 : 0, .palette = {}},
      x.to(at::kByte), labels ? label : Tensor());
}

const SmallNetOptions kNet{.name = "test", .size = 8, .widths = {16, 32}, .blocks = 1};
const FeatureTrainOptions kTrain{.steps = 60,
                                 .batch = 16,
                                 .adam = {.lr = 5e-3},
                                 .warmup = 5,
                                 .augment = {.shift = 2, .colour = 0.1}};

double train(FeatureTrainer& trainer, int64_t steps) {
  double loss = NAN;
  for (int64_t i = 0; i < steps; ++i) loss = trainer.update();
  return loss;
}

TEST(FeatureTrainer, LearnsToTellClassesApart) {
  const auto held_out = stripes(100, 2, true);
  FeatureTrainer trainer(kTrain, kNet, stripes(64, 1, true), {});
  EXPECT_LT(trainer.accuracy(*held_out), 0.9);
  train(trainer, 60);
  EXPECT_EQ(trainer.accuracy(*held_out), 1);
}

TEST(FeatureTrainer, LearnsToKnowImagesAgain) {
  const auto held_out = stripes(50, 2, false);
  FeatureTrainer trainer(kTrain, kNet, stripes(64, 1, false), {});
  EXPECT_EQ(trainer.net().classes(), 64);
  const double before = trainer.accuracy(*held_out);
  train(trainer, 60);
  EXPECT_GT(trainer.accuracy(*held_out), before);
  EXPECT_EQ(trainer.accuracy(*held_out), trainer.accuracy(*held_out));
}

TEST(FeatureTrainer, IsAFunctionOfItsSeed) {
  const auto loss = [](int64_t seed) {
    auto options = kTrain;
    options.seed = seed;
    FeatureTrainer trainer(options, kNet, stripes(64, 1, true), {.flip = true});
    return train(trainer, 5);
  };
  EXPECT_EQ(loss(0), loss(0));
  EXPECT_NE(loss(0), loss(1));
}

TEST(FeatureTrainer, BFloat16StaysNearFloat32) {
  const auto loss = [](bool bf16) {
    auto options = kTrain;
    options.bf16 = bf16;
    FeatureTrainer trainer(options, kNet, stripes(64, 1, true), {});
    return train(trainer, 1);
  };
  EXPECT_NEAR(loss(true), loss(false), 0.02);
  EXPECT_NE(loss(true), loss(false));
}

TEST(FeatureTrainer, RefusesWhatItCannotTrainOn) {
  const auto sequences = std::make_shared<MemoryDataset>(
      DataInfo{.shape = {1, 8}, .categories = {5}, .classes = 0, .palette = {}},
      at::zeros({4, 1, 8}, at::kByte), Tensor());
  EXPECT_THROW(FeatureTrainer(kTrain, kNet, sequences, {}), UsageError);
  auto options = kTrain;
  options.augment.shift = 8;
  EXPECT_THROW(FeatureTrainer(options, kNet, stripes(4, 1, true), {}), UsageError);
}

TEST(FeatureTrainer, StopsAtALossThatIsNotFinite) {
  FeatureTrainer trainer(kTrain, kNet, stripes(64, 1, true), {});
  trainer.net().parameters().named().front().second.detach().fill_(std::nan(""));
  EXPECT_THROW(trainer.update(), NumbersError);
  EXPECT_EQ(trainer.step(), 0);
}

}  // namespace
}  // namespace bitdiff
