#include "bitdiff/model/checkpoint.h"

#include <fstream>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "bitdiff/base/error.h"
#include "bitdiff/model/draw.h"
#include "tests/support/temporary_folder.h"

namespace bitdiff {
namespace {

namespace fs = std::filesystem;

ModelOptions small_unet() {
  ModelOptions options;
  options.unet.dim = 32;
  options.unet.mult = {1};
  options.unet.blocks = 1;
  return options;
}

const DataInfo kData{.shape = {1, 8, 8}, .categories = {5}, .classes = 3, .palette = {}};

std::string config_of(const ModelOptions& options) {
  ConfigWriter writer;
  write_model(writer, options, false);
  return writer.text();
}

Checkpoint checkpoint_of(const Model& model) {
  return {.config = config_of(small_unet()),
          .step = 12,
          .seed = 7,
          .data = model.data,
          .weights = model.parameters.named(),
          .ema = model.parameters.named(),
          .optimizer = {{"step", at::full({}, 12.0f)}}};
}

TEST(Model, RefusesDataOfAnotherForm) {
  EXPECT_THROW(make_model(small_unet(), {.shape = {1, 8}}, 0), UsageError);
  ModelOptions sequences;
  sequences.network = Network::kTransformer;
  EXPECT_THROW(make_model(sequences, kData, 0), UsageError);
  auto logits_of_noise = small_unet();
  logits_of_noise.process.loss = Loss::kLogistic;
  EXPECT_NO_THROW(make_model(logits_of_noise, kData, 0));
  logits_of_noise.process.prediction = Prediction::kEps;
  EXPECT_THROW(make_model(logits_of_noise, kData, 0), UsageError);
}

TEST(Model, IsAFunctionOfItsSeed) {
  const auto weights = [](int64_t seed) {
    return make_model(small_unet(), kData, seed).parameters.tensors().front();
  };
  EXPECT_TRUE(weights(1).equal(weights(1)));
  EXPECT_FALSE(weights(1).equal(weights(2)));
}

TEST(Checkpoint, ComesBackAsItWas) {
  const TemporaryFolder folder;
  const auto model = make_model(small_unet(), kData, 7);
  const auto path = folder.path() / "checkpoints" / checkpoint_name(12);
  save_checkpoint(path, checkpoint_of(model));
  const auto back = load_checkpoint(path);
  EXPECT_EQ(back.step, 12);
  EXPECT_EQ(back.seed, 7);
  EXPECT_EQ(back.config, config_of(small_unet()));
  EXPECT_EQ(back.data.shape, kData.shape);
  EXPECT_EQ(back.data.classes, 3);
  ASSERT_EQ(back.weights.size(), model.parameters.named().size());
  for (size_t i = 0; i < back.weights.size(); ++i) {
    EXPECT_TRUE(back.weights[i].second.equal(model.parameters.named()[i].second));
  }
  EXPECT_EQ(find_checkpoint(folder.path()), path);
  EXPECT_EQ(find_checkpoint(path), path);
}

TEST(Checkpoint, TheNewestIsThatOfTheMostSteps) {
  const TemporaryFolder folder;
  const auto make = [&](const std::string& name) {
    folder.write("checkpoints/" + name + "/state.json", "{}");
    return folder.path() / "checkpoints" / name;
  };
  const std::vector<fs::path> made = {make(checkpoint_name(7)), make(checkpoint_name(99'999'000)),
                                      make(checkpoint_name(100'000'000))};
  for (const auto* kept :
       {"step-best", "step-00000008-good", "step-", "step-9", "step--0000009", "old"}) {
    make(kept);
  }
  EXPECT_EQ(list_checkpoints(folder.path()), made);
  EXPECT_EQ(find_checkpoint(folder.path()), made.back());
}

TEST(Checkpoint, GivesTheModelThatSamplesAlike) {
  const TemporaryFolder folder;
  const auto model = make_model(small_unet(), kData, 7);
  const auto path = folder.path() / "checkpoints" / checkpoint_name(12);
  save_checkpoint(path, checkpoint_of(model));
  const DrawOptions options{.generate = {.steps = 3}};
  EXPECT_TRUE(draw(load_model(path), options, 0, 4).x.equal(draw(model, options, 0, 4).x));
}

TEST(Checkpoint, DamageIsNamed) {
  const TemporaryFolder folder;
  const auto model = make_model(small_unet(), kData, 7);
  const auto path = folder.path() / "checkpoints" / checkpoint_name(12);
  save_checkpoint(path, checkpoint_of(model));
  fs::resize_file(path / "ema.safetensors", fs::file_size(path / "ema.safetensors") - 4);
  EXPECT_THROW(load_model(path), InputError);
  save_checkpoint(path, checkpoint_of(model));
  std::ofstream(path / "state.json") << "{\"format\": 2}";
  EXPECT_THROW(load_model(path), InputError);
  EXPECT_THROW(find_checkpoint(folder.path() / "none"), InputError);
}

TEST(Checkpoint, WeightsOfAnotherNetworkAreRefused) {
  const TemporaryFolder folder;
  auto wide = small_unet();
  wide.unet.dim = 64;
  auto checkpoint = checkpoint_of(make_model(small_unet(), kData, 7));
  checkpoint.config = config_of(wide);
  const auto path = folder.path() / "checkpoints" / checkpoint_name(12);
  save_checkpoint(path, checkpoint);
  EXPECT_THROW(load_model(path), InputError);
}

TEST(Draw, ASampleIsTheSameToTheLastBitInAnyRange) {
  const auto model = make_model(small_unet(), kData, 7);
  const DrawOptions options{.generate = {.steps = 3}, .seed = 1, .micro_batch = 4};
  const auto all = draw(model, options, 0, 10);
  EXPECT_EQ(all.x.sizes(), (IntArrayRef{10, 1, 8, 8}));
  for (const auto& [begin, end] : {std::pair{0, 1}, {3, 5}, {5, 10}, {9, 10}}) {
    const auto some = draw(model, options, begin, end);
    EXPECT_TRUE(some.x.equal(all.x.slice(0, begin, end))) << begin << " to " << end;
    EXPECT_TRUE(some.label.equal(all.label.slice(0, begin, end)));
  }
}

TEST(Draw, LabelsAreAllClassesOrTheOneAskedFor) {
  const auto model = make_model(small_unet(), kData, 7);
  const auto any = draw(model, {.generate = {.steps = 1}}, 0, 32).label;
  EXPECT_EQ(any.min().item<int64_t>(), 0);
  EXPECT_EQ(any.max().item<int64_t>(), 2);
  const auto one = draw(model, {.generate = {.steps = 1}, .label = 1}, 0, 4).label;
  EXPECT_TRUE(one.eq(1).all().item<bool>());
  EXPECT_THROW(draw(model, {.generate = {.steps = 1}, .label = 3}, 0, 4), UsageError);
}

}  // namespace
}  // namespace bitdiff
