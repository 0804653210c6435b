#include "bitdiff/model/cost.h"

#include <vector>

#include <gtest/gtest.h>

namespace bitdiff {
namespace {

DataInfo data_of(const std::vector<int64_t>& shape) {
  DataInfo data;
  data.shape = shape;
  return data;
}

// The figures of section 2 of the paper and of its code: 51 million and 16.9 GMAC, 240 million
// (247.2 with attention at 16 and 8) and 88 GMAC.

TEST(Cost, IsThatOfThePapersCifar10Network) {
  ModelOptions options;
  options.unet = {.dim = 256, .mult = {1, 1, 1}, .blocks = 3, .attention = {16, 8}};
  const auto cost = cost_of(options, data_of({3, 32, 32}));
  EXPECT_NEAR(static_cast<double>(cost.parameters), 52.02e6, 0.01e6);
  EXPECT_NEAR(cost.net_macs, 16.9e9, 0.05e9);
  EXPECT_EQ(cost.encoder_macs, 0);
}

TEST(Cost, IsThatOfThePapersImageNetNetwork) {
  ModelOptions options;
  options.unet = {.dim = 192, .mult = {1, 2, 3, 4}, .blocks = 3, .attention = {16, 8}};
  auto data = data_of({3, 64, 64});
  data.classes = 1000;
  const auto cost = cost_of(options, data);
  EXPECT_NEAR(static_cast<double>(cost.parameters), 247.2e6, 0.1e6);
  EXPECT_NEAR(cost.net_macs, 88e9, 0.5e9);
}

TEST(Cost, OfATransformerThatLooksAtFeaturesIsCountedByHand) {
  ModelOptions options;
  options.network = Network::kTransformer;
  options.transformer.layers = 2;
  options.transformer.width = 8;
  options.transformer.heads = 2;
  options.transformer.mlp = 4;
  const double width = 8, length = 6, features = 5, seen = 10, bits = 3;
  auto data = data_of({1, 6});
  data.categories = {8};
  data.image_shape = {5, 10};
  const auto cost = cost_of(options, data);

  const double time = 2 * width * width;
  const double in_and_out = length * (2 * bits * width + width * bits);
  const double self = length * 4 * width * width + 2 * length * length * width;
  const double cross =
      length * 2 * width * width + features * 2 * width * width + 2 * length * features * width;
  const double mlp = length * 2 * width * (4 * width);
  const double modulation = 3 * width * 2 * width;
  EXPECT_EQ(cost.net_macs, time + in_and_out + 2 * (self + cross + mlp + modulation));
  EXPECT_EQ(cost.encoder_macs, features * seen * width);
}

TEST(Cost, AVectorForEachTokenIsUsedOnTheWayInAndOut) {
  ModelOptions options;
  options.network = Network::kTransformer;
  options.process.head = Head::kPosterior;
  options.process.loss = Loss::kSoftmax;
  auto data = data_of({1, 6});
  data.categories = {8};
  const auto macs = [&](BitEmbedding embedding) {
    options.transformer = {.layers = 1, .width = 8, .heads = 2, .embedding = embedding};
    return cost_of(options, data).net_macs;
  };
  // Beside kMlp's layers: the matrix [8, 8] at six places, twice, instead of a last layer to 8
  // logits.
  EXPECT_EQ(macs(BitEmbedding::kTokens) - macs(BitEmbedding::kMlp), 6 * 8 * 8);
}

TEST(Cost, ATrainingStepIsAPassItsGradientAndPartOfAPassMore) {
  const ModelCost cost{.parameters = 1, .net_macs = 10, .encoder_macs = 3};
  EXPECT_EQ(cost.forward_macs(0.5), 18);
  EXPECT_EQ(cost.backward_macs(), 26);
}

}  // namespace
}  // namespace bitdiff
