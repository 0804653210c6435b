#include <cmath>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "bitdiff/io/file.h"
#include "bitdiff/io/safetensors.h"
#include "bitdiff/io/sha256.h"
#include "bitdiff/metrics/open_features.h"
#include "tests/support/random_inception.h"
#include "tests/support/temporary_folder.h"

namespace bitdiff {
namespace {

Tensor pictures(int64_t count, int64_t height, int64_t width) {
  return at::arange(count * 3 * height * width)
      .mul(37)
      .remainder(256)
      .to(at::kByte)
      .view({count, 3, height, width});
}

TEST(InceptionInput, HasThePixelsThatEachResizePutsThere) {
  // Two columns, 0 and 255: where each new pixel lies on the way from one to the other.
  const auto images = at::tensor({0, 255}, at::kByte).view({1, 1, 1, 2}).expand({1, 3, 2, 2});
  const auto tf = inception_input(images, InceptionResize::kTf);
  const auto torch = inception_input(images, InceptionResize::kTorch);
  ASSERT_EQ(tf.sizes(), (IntArrayRef{1, 3, 299, 299}));
  for (const int64_t i : {0, 100, 149, 150, 298}) {
    const double tf_place = std::min(i * 2 / 299.0, 1.0);
    const double torch_place = std::clamp((i + 0.5) * 2 / 299.0 - 0.5, 0.0, 1.0);
    EXPECT_NEAR(tf[0][2][17][i].item<double>(), (255 * tf_place - 128) / 128, 1e-5) << i;
    EXPECT_NEAR(torch[0][2][17][i].item<double>(), 2 * torch_place - 1, 1e-5) << i;
  }
}

TEST(InceptionInput, OfItsOwnSizeIsTheImage) {
  const auto images = pictures(1, 299, 299);
  EXPECT_TRUE(
      inception_input(images, InceptionResize::kTf).equal(images.to(at::kFloat).sub(128).div(128)));
}

TEST(Inception, GivesEachImageOutputsThatDependOnItAlone) {
  NamedTensors weights;
  const auto network = make_inception(random_weights(weights), InceptionResize::kTf, "abc");
  EXPECT_EQ(network->name(), "inception-2015-12-05");
  EXPECT_EQ(network->description(), "weights sha256 abc, resize tf, float32");
  const auto images = pictures(3, 20, 33);
  const auto all = (*network)(images);
  EXPECT_EQ(all.features.sizes(), (IntArrayRef{3, 2048}));
  EXPECT_EQ(all.logits.sizes(), (IntArrayRef{3, 1008}));
  EXPECT_EQ(all.spatial.sizes(), (IntArrayRef{3, 2023}));
  const auto one = (*network)(images.slice(0, 1, 2));
  const auto expect_close = [](const Tensor& a, const Tensor& b) {
    EXPECT_LT((a - b).norm().item<double>(), 1e-5 * b.norm().item<double>());
    EXPECT_GT(b.norm().item<double>(), 0);
  };
  expect_close(one.features, all.features.slice(0, 1, 2));
  expect_close(one.logits, all.logits.slice(0, 1, 2));
  expect_close(one.spatial, all.spatial.slice(0, 1, 2));
  EXPECT_GT((all.features[0] - all.features[1]).norm().item<double>(),
            1e-3 * all.features[0].norm().item<double>());
}

TEST(Inception, RefusesWeightsThatAreMissingOrOfAnotherShape) {
  NamedTensors weights;
  make_inception(random_weights(weights), InceptionResize::kTf, "");
  const auto refuse = [&](const NamedTensors& given) {
    return refusal(ErrorKind::kInput,
                   [&] { make_inception(weights_from(given, "f"), InceptionResize::kTf, ""); });
  };
  auto missing = weights;
  missing.erase(missing.begin() + 7);
  expect_contains(refuse(missing), "f: expected a weight \"" + weights[7].first + "\" of shape");
  auto reshaped = weights;
  reshaped.back().second = at::zeros({1000, 2048});
  expect_contains(refuse(reshaped), "\"fc.weight\": expected float32 of shape [1008, 2048]");
}

TEST(OpenFeatures, RefusesAFileThatIsNoNetwork) {
  const TemporaryFolder folder;
  const auto path = folder / "x.safetensors";
  const auto refuse = [&] { return refusal(ErrorKind::kInput, [&] { open_features(path, {}); }); };
  write_safetensors(path, {{{"a", at::ones(2)}}, {}});
  expect_contains(refuse(), "expected bitdiff.features = \"inception\" or \"small\"");
  write_safetensors(path, {{{"a", at::ones(2)}}, {{"bitdiff.features", "other"}}});
  expect_contains(refuse(), "found \"other\"");
  write_safetensors(path, {{{"a", at::ones(2)}}, {{"bitdiff.features", "inception"}}});
  expect_contains(refuse(), "expected a weight \"Conv2d_1a_3x3.");
}

}  // namespace
}  // namespace bitdiff
