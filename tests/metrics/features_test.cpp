// Features in chunks: interrupted, shared and read again.

#include "bitdiff/metrics/features.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/support/temporary_folder.h"

namespace bitdiff {
namespace {

constexpr int64_t kImages = 2 * FeatureChunks::kChunk + 100;

/// The mean of each channel, and how many images were asked for.
class Means final : public FeatureExtractor {
 public:
  explicit Means(std::string description = "plain", std::string name = "means")
      : description_(std::move(description)), name_(std::move(name)) {}
  std::string name() const override { return name_; }
  std::string description() const override { return description_; }
  Output operator()(const Tensor& images) const override {
    seen_ += images.size(0);
    if (seen_ > limit_) throw InputError("interrupted");
    return {images.to(at::kFloat).mean({2, 3}), Tensor(), Tensor()};
  }

  mutable int64_t seen_ = 0;
  int64_t limit_ = 1 << 20;

 private:
  std::string description_;
  std::string name_;
};

ImageSet images(const std::string& hash = "h") {
  const auto pixels =
      at::arange(kImages * 12).remainder(251).to(at::kByte).view({kImages, 3, 2, 2});
  return {hash, kImages,
          [pixels](int64_t begin, int64_t end) { return pixels.slice(0, begin, end); }};
}

const auto kQuiet = [](int64_t) {};

TEST(FeatureChunks, AreTheFeaturesOfAllImagesInOrder) {
  const TemporaryFolder folder;
  const auto set = images();
  const Means means;
  const auto expected = means(set.get(0, kImages)).features;
  for (const auto& place : {std::filesystem::path(), folder.path()}) {
    FeatureChunks chunks(set, means, place);
    EXPECT_EQ(chunks.missing(), kImages);
    int64_t shown = 0;
    chunks.compute({}, [&](int64_t count) { shown += count; });
    EXPECT_EQ(shown, kImages);
    EXPECT_EQ(chunks.missing(), 0);
    EXPECT_TRUE(chunks.all().features.equal(expected));
    EXPECT_FALSE(chunks.all().logits.defined());
  }
}

TEST(FeatureChunks, StayInTheirFolderWhateverANetworkIsCalled) {
  const TemporaryFolder folder;
  const auto cache = folder / "cache/deep";
  for (const std::string name : {"../../out", "/../out", "a/b", ".."}) {
    FeatureChunks(images(), Means("plain", (name[0] == '/' ? folder.path().string() : "") + name),
                  cache);
  }
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder / "cache"), {}), 1);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(cache), {}), 4);
}

TEST(FeatureChunks, GoOnWhereTheyWereInterrupted) {
  const TemporaryFolder folder;
  const auto set = images();
  Means means;
  means.limit_ = FeatureChunks::kChunk + 50;
  refusal(ErrorKind::kInput, [&] { FeatureChunks(set, means, folder.path()).compute({}, kQuiet); });
  means.limit_ = 1 << 20;
  means.seen_ = 0;
  FeatureChunks chunks(set, means, folder.path());
  EXPECT_EQ(chunks.missing(), kImages - FeatureChunks::kChunk);
  chunks.compute({}, kQuiet);
  EXPECT_EQ(means.seen_, kImages - FeatureChunks::kChunk);
  EXPECT_TRUE(chunks.all().features.equal(means(set.get(0, kImages)).features));
}

TEST(FeatureChunks, AreSharedByShards) {
  const TemporaryFolder folder;
  const auto set = images();
  const Means means;
  FeatureChunks first(set, means, folder.path()), second(set, means, folder.path());
  EXPECT_EQ(first.missing({0, 2}), FeatureChunks::kChunk + 100);
  first.compute({0, 2}, kQuiet);
  EXPECT_EQ(second.missing(), FeatureChunks::kChunk);
  second.compute({1, 2}, kQuiet);
  EXPECT_EQ(means.seen_, kImages);
  EXPECT_TRUE(first.all().features.equal(means(set.get(0, kImages)).features));
}

TEST(FeatureChunks, OfOtherImagesOrNetworksAreOthers) {
  const TemporaryFolder folder;
  const auto set = images(), other = images("other");
  const Means means, changed("changed");
  FeatureChunks(set, means, folder.path()).compute({}, kQuiet);
  EXPECT_EQ(FeatureChunks(set, means, folder.path()).missing(), 0);
  EXPECT_EQ(FeatureChunks(other, means, folder.path()).missing(), kImages);
  EXPECT_EQ(FeatureChunks(set, changed, folder.path()).missing(), kImages);
}

TEST(FeatureChunks, RefuseADamagedFile) {
  const TemporaryFolder folder;
  const auto set = images();
  const Means means;
  FeatureChunks chunks(set, means, folder.path());
  chunks.compute({}, kQuiet);
  const auto files = std::filesystem::recursive_directory_iterator(folder.path());
  std::filesystem::path first, last;
  for (const auto& entry : files) {
    if (entry.path().filename() == "chunk-000000.safetensors") first = entry.path();
    if (entry.path().filename() == "chunk-000002.safetensors") last = entry.path();
  }
  std::filesystem::copy_file(first, last, std::filesystem::copy_options::overwrite_existing);
  expect_contains(refusal(ErrorKind::kInput, [&] { chunks.all(); }), "expected float32 [100, D]");
}

}  // namespace
}  // namespace bitdiff
