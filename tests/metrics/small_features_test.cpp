#include "bitdiff/metrics/small_features.h"

#include <cmath>
#include <cstdlib>
#include <iostream>
#include <numeric>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "bitdiff/base/error.h"
#include "bitdiff/base/random.h"
#include "bitdiff/data/open.h"
#include "bitdiff/metrics/moments.h"
#include "bitdiff/report/sheet.h"
#include "tests/support/temporary_folder.h"

namespace bitdiff {
namespace {

namespace fs = std::filesystem;

const SmallNetOptions kOptions{.name = "test-fd", .size = 8, .widths = {16, 32}, .blocks = 1};

Tensor some_images(int64_t count, int64_t size) {
  const auto numbers = at::arange(count * 3 * size * size) * 37 % 256;
  return numbers.reshape({count, 3, size, size}).to(at::kByte);
}

std::unique_ptr<FeatureExtractor> reopened(const SmallNet& net, bool with_head) {
  const TemporaryFolder folder;
  save_small_net(folder / "net.safetensors", net, with_head, {{"note", "kept"}});
  const auto file = read_safetensors(folder / "net.safetensors");
  EXPECT_EQ(file.metadata.at("note"), "kept");
  return open_small_net(file, "net.safetensors", "hash");
}

TEST(SmallFeatures, AreThoseOfTheNetworkThatWasSaved) {
  const SmallNet net(kOptions, 5, 3);
  round_to_file(net);
  const auto images = some_images(4, 8);
  const auto extractor = reopened(net, true);
  EXPECT_EQ(extractor->name(), "test-fd");
  expect_contains(extractor->description(), "hash");
  const auto output = (*extractor)(images);
  const auto features = net.features(images.to(at::kFloat));
  EXPECT_TRUE(output.features.equal(features.detach()));
  EXPECT_TRUE(output.logits.equal(net.logits(features).detach()));
  EXPECT_FALSE(output.spatial.defined());
  EXPECT_FALSE((*reopened(net, false))(images).logits.defined());
}

TEST(SmallFeatures, OfAnImageDoNotDependOnItsNeighbours) {
  const auto extractor = reopened(SmallNet(kOptions, 0, 3), false);
  const auto images = some_images(70, 8);
  const auto all = (*extractor)(images).features;
  for (const int64_t i : {0, 40, 69}) {
    EXPECT_TRUE(all.slice(0, i, i + 1)
                    .allclose((*extractor)(images.slice(0, i, i + 1)).features, 1e-5, 1e-6))
        << i;
  }
}

TEST(SmallFeatures, OfLargerImagesAreThoseOfTheMeansOfTheirPixels) {
  const auto extractor = reopened(SmallNet(kOptions, 0, 3), false);
  const auto images = some_images(2, 8);
  const auto larger = images.repeat_interleave(3, 2).repeat_interleave(3, 3);
  EXPECT_TRUE((*extractor)(images).features.equal((*extractor)(larger).features));
}

TEST(SmallFeatures, RefuseOtherFilesInOneLine) {
  const TemporaryFolder folder;
  save_small_net(folder / "net.safetensors", SmallNet(kOptions, 5, 3), true, {});
  const auto good = read_safetensors(folder / "net.safetensors");
  const auto refusal_of = [&](const auto& damage) {
    auto file = good;
    damage(file);
    return refusal(ErrorKind::kInput, [&] { open_small_net(file, "here", "hash"); });
  };
  expect_contains(refusal_of([](auto& file) { file.metadata.clear(); }),
                  "here: metadata: expected \"bitdiff.features\"");
  expect_contains(refusal_of([](auto& file) { file.metadata["bitdiff.features"] = "inception"; }),
                  "expected \"small\", found \"inception\"");
  expect_contains(refusal_of([](auto& file) { file.metadata["classes"] = "-1"; }), "classes");
  expect_contains(refusal_of([](auto& file) { file.metadata["classes"] = "4"; }), "head.weight");
  expect_contains(refusal_of([](auto& file) { file.metadata["config"] = "[features"; }), "TOML");
  expect_contains(
      refusal_of([](auto& file) { file.metadata["config"] = "[features]\nwidths = [99999]"; }),
      "widths");
  expect_contains(refusal_of([](auto& file) { file.metadata["config"] = "[features]\nsize = 9"; }),
                  "size");
  expect_contains(refusal_of([](auto& file) { file.tensors.pop_back(); }), "tensors, found");
  expect_contains(refusal_of([](auto& file) { file.tensors[0].second.fill_(NAN); }), "finite");
}

/// The images of a data set in two random halves, and the Frechet distance of changed images of
/// the second from the first.
class Judge {
 public:
  Judge(const DataOptions& data, const char* file, int64_t most) {
    const auto path = fs::path(BITDIFF_SOURCE_DIR) / "data/features" / file;
    extractor_ = open_small_net(read_safetensors(path), path.string(), "hash");
    const auto dataset = open_dataset(data);
    auto order = permutation(0, Purpose::kHoldout, 0, dataset->size());
    order.resize(std::min(most, dataset->size()));
    const auto middle = order.begin() + static_cast<int64_t>(order.size() / 2);
    const auto pictures = [&](auto begin, auto end) {
      return to_rgb(dataset->get(std::vector<int64_t>(begin, end)).x, dataset->info());
    };
    reference_ = (*extractor_)(pictures(order.begin(), middle)).features;
    images_ = pictures(middle, order.end());
  }

  const Tensor& images() const { return images_; }

  double distance(const Tensor& images) const {
    return frechet_distance(reference_, (*extractor_)(images).features);
  }

  /// A share of the pixels takes any colour.
  Tensor noisy(double share) const {
    std::vector<int64_t> rows(images_.size(0));
    std::iota(rows.begin(), rows.end(), 0);
    const Streams streams(1, rows);
    const auto hit = streams.fork(Purpose::kNoise)
                         .uniform({images_.size(0), 1, images_.size(2), images_.size(3)});
    const auto colours =
        streams.fork(Purpose::kColour).uniform(images_.sizes()).mul(256).to(at::kByte);
    return at::where(hit < share, colours, images_);
  }

  /// Each pixel is the mean of the 3 x 3 around it.
  Tensor blurred() const {
    const auto padded = at::replication_pad2d(images_.to(at::kFloat), {1, 1, 1, 1});
    return at::avg_pool2d(padded, {3, 3}, {1, 1}).round().to(at::kByte);
  }

  /// The darker half of the images, twice.
  Tensor dropped() const {
    const auto order = images_.to(at::kFloat).mean({1, 2, 3}).argsort();
    return images_.index_select(0, order.slice(0, 0, images_.size(0) / 2).repeat({2}));
  }

 private:
  std::unique_ptr<FeatureExtractor> extractor_;
  Tensor reference_;
  Tensor images_;
};

void expect_order(const Judge& judge) {
  const double floor = judge.distance(judge.images());
  double last = floor;
  for (const double share : {0.05, 0.1, 0.2}) {
    const double distance = judge.distance(judge.noisy(share));
    std::cout << share << " of the pixels: " << distance << "\n";
    EXPECT_GT(distance, 1.3 * last) << share;
    last = distance;
  }
  const double blurred = judge.distance(judge.blurred());
  const double dropped = judge.distance(judge.dropped());
  std::cout << "floor " << floor << ", blurred " << blurred << ", half dropped " << dropped << "\n";
  EXPECT_GT(blurred, 2 * floor);
  EXPECT_GT(dropped, 2 * floor);
}

TEST(EmojiFd, GrowsWithDamage) {
  DataOptions data;
  data.path = (fs::path(BITDIFF_SOURCE_DIR) / "data/emoji/emoji16.npz").string();
  data.key = "images";
  data.categories = {32};
  expect_order(Judge(data, "emoji.safetensors", 1 << 20));
}

TEST(CifarFd, GrowsWithDamage) {
  const char* folder = std::getenv("BITDIFF_DATA");
  if (!folder || !fs::exists(fs::path(folder) / "cifar10/data_batch_5.bin")) {
    GTEST_SKIP() << "BITDIFF_DATA names no folder with cifar10/";
  }
  DataOptions data;
  data.source = Source::kCifar10;
  data.path = (fs::path(folder) / "cifar10").string();
  expect_order(Judge(data, "cifar10.safetensors", 4000));
}

}  // namespace
}  // namespace bitdiff
