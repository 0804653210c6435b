#include "bitdiff/data/caption_images.h"

#include <limits>

#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/stack.h>
#include <gtest/gtest.h>

#include "bitdiff/io/image.h"
#include "bitdiff/io/npz.h"
#include "bitdiff/io/safetensors.h"
#include "tests/support/temporary_folder.h"

namespace bitdiff {
namespace {

namespace fs = std::filesystem;

CaptionRecord record_of(const std::string& key, const std::string& name) {
  return {.where = "captions.jsonl: line 3",
          .image = {{key, {name}}},
          .split = {},
          .captions = {"a caption"}};
}

Tensor get(const CaptionImages& images, const std::vector<int64_t>& numbers) {
  return images.get(numbers);
}

// Columns of 200 on both sides, of 100 in the middle: uint8 [3, 4, 8].
Tensor framed() {
  auto image = at::full({3, 4, 8}, 200, at::kByte);
  image.slice(2, 2, 6).fill_(100);
  return image;
}

class FolderOfCaptions : public ::testing::Test {
 protected:
  FolderOfCaptions() {
    fs::create_directories(folder_ / "images/deep");
    write_png(folder_ / "images/a.png", framed());
    write_png(folder_ / "images/deep/b.png", at::full({3, 2, 2}, 7, at::kByte));
    write_png(folder_ / "secret.png", framed());
    images_ = open_caption_images(folder_ / "images", {.size = 4});
  }

  std::optional<int64_t> find(const std::string& name) {
    return images_->find(record_of("file", name));
  }

  std::string refusal_of(const std::string& name) {
    auto what = refusal(ErrorKind::kInput, [&] { find(name); });
    expect_contains(what, "captions.jsonl: line 3: file \"");
    return what;
  }

  const TemporaryFolder folder_;
  std::unique_ptr<CaptionImages> images_;
};

TEST_F(FolderOfCaptions, ShowsAllOfEachImage) {
  EXPECT_EQ(images_->shape(), (std::vector<int64_t>{3, 4, 4}));
  const auto a = find("a.png"), b = find("deep/b.png");
  ASSERT_TRUE(a && b);
  const auto batch = get(*images_, {*b, *a, *b});
  EXPECT_EQ(batch.sizes(), IntArrayRef({3, 3, 4, 4}));
  EXPECT_EQ(batch.scalar_type(), at::kByte);
  EXPECT_TRUE(batch[0].eq(7).all().item<bool>());
  EXPECT_TRUE(batch[2].eq(7).all().item<bool>());
  EXPECT_TRUE(batch[1].select(2, 0).eq(200).all().item<bool>()) << "the side is not cut off";
  EXPECT_TRUE(batch[1].slice(2, 1, 3).eq(100).all().item<bool>());
  EXPECT_TRUE(batch[1].select(2, 3).eq(200).all().item<bool>());
}

TEST_F(FolderOfCaptions, HasOneNumberForEachFile) {
  fs::create_symlink("a.png", folder_ / "images/again.png");
  const auto a = find("a.png");
  ASSERT_TRUE(a);
  EXPECT_EQ(find("a.png"), a);
  EXPECT_EQ(find("./a.png"), a);
  EXPECT_EQ(find("again.png"), a);
  EXPECT_NE(find("deep/b.png"), a);
}

TEST_F(FolderOfCaptions, MayLackFiles) {
  fs::create_symlink("nowhere.png", folder_ / "images/dangling.png");
  EXPECT_FALSE(find("c.png"));
  EXPECT_FALSE(find("c.png")) << "nor the second time";
  EXPECT_FALSE(find("none/a.png"));
  EXPECT_FALSE(find("a.png/b.png"));
  EXPECT_FALSE(find("dangling.png"));
}

TEST_F(FolderOfCaptions, IsNotLeft) {
  for (const char* name : {"../secret.png", "deep/../a.png", "", "/etc/passwd"}) {
    expect_contains(refusal_of(name), "expected a path below");
  }
  expect_contains(refusal_of((folder_ / "images/a.png").string()), "expected a path below");
  expect_contains(refusal_of(std::string("a.png\0b", 7)), "expected a path below");
  fs::create_symlink(folder_ / "secret.png", folder_ / "images/link.png");
  fs::create_directory_symlink(folder_.path(), folder_ / "images/up");
  fs::create_directory(folder_ / "images-too");
  write_png(folder_ / "images-too/c.png", framed());
  fs::create_directory_symlink("../images-too", folder_ / "images/like");
  for (const char* name : {"link.png", "up/secret.png", "like/c.png"}) {
    expect_contains(refusal_of(name), "found a link that leads out of it");
  }
  EXPECT_TRUE(find("up/images/a.png")) << "back below the folder";
}

TEST_F(FolderOfCaptions, MayBeALinkItself) {
  fs::create_directory_symlink("images", folder_ / "link");
  EXPECT_TRUE(open_caption_images(folder_ / "link", {})->find(record_of("file", "a.png")));
}

TEST_F(FolderOfCaptions, NamesWhatIsNoImage) {
  expect_contains(refusal_of("deep"), "expected a PNG or JPEG, found no file");
  expect_contains(
      refusal(ErrorKind::kInput, [&] { images_->find(record_of("row", "0")); }),
      "captions.jsonl: line 3: expected file to name an image of " + (folder_ / "images").string());
  folder_.write("images/bad.png", "\x89PNG and no more");
  const auto bad = find("bad.png");
  ASSERT_TRUE(bad);
  expect_contains(refusal(ErrorKind::kInput, [&] { get(*images_, {*bad}); }),
                  (folder_ / "images/bad.png").string() + ": not a whole PNG");
}

class ArrayOfCaptions : public ::testing::Test {
 protected:
  std::string refusal_of(const Tensor& images) const {
    const auto path = folder_ / "images.safetensors";
    write_safetensors(path, {.tensors = {{"x", images}}, .metadata = {}});
    auto what = refusal(ErrorKind::kInput, [&] { open_caption_images(path, {}); });
    expect_contains(what, path.string());
    return what;
  }

  const TemporaryFolder folder_;
};

TEST_F(ArrayOfCaptions, MayBePixels) {
  const auto values = at::arange(2 * 4 * 5 * 3).to(at::kByte).reshape({2, 4, 5, 3});
  write_npy(folder_ / "x.npy", values);
  const auto images = open_caption_images(folder_ / "x.npy", {});
  EXPECT_EQ(images->shape(), (std::vector<int64_t>{3, 4, 5}));
  EXPECT_EQ(images->find(record_of("row", "1")), 1);
  const auto batch = get(*images, {1, 0, 1});
  EXPECT_TRUE(batch.equal(at::stack({values[1], values[0], values[1]}).permute({0, 3, 1, 2})));
  EXPECT_TRUE(batch.is_contiguous());
}

TEST_F(ArrayOfCaptions, MayBeFeatures) {
  const auto values = at::arange(24).to(at::kFloat).div(8);
  for (const auto type : {at::kHalf, at::kBFloat16, at::kFloat, at::kDouble}) {
    write_safetensors(folder_ / "x.safetensors",
                      {.tensors = {{"deep", values.reshape({2, 3, 4}).to(type)},
                                   {"flat", values.reshape({3, 8}).to(type)}},
                       .metadata = {}});
    const auto deep = open_caption_images(folder_ / "x.safetensors", {.key = "deep"});
    EXPECT_EQ(deep->shape(), (std::vector<int64_t>{3, 4}));
    EXPECT_TRUE(get(*deep, {1, 0}).equal(values.reshape({2, 3, 4}).flip(0))) << type;
    const auto flat = open_caption_images(folder_ / "x.safetensors", {.key = "flat"});
    EXPECT_EQ(flat->shape(), (std::vector<int64_t>{1, 8}));
    EXPECT_TRUE(get(*flat, {2}).equal(values.slice(0, 16).reshape({1, 1, 8}))) << type;
  }
  write_npz(folder_ / "x.npz", {{"only", values.reshape({1, 4, 6})}});
  EXPECT_EQ(open_caption_images(folder_ / "x.npz", {})->shape(), (std::vector<int64_t>{4, 6}));
}

TEST_F(ArrayOfCaptions, IsNamedByTheKeyWhereThereAreSeveral) {
  const auto x = at::full({2, 3}, 1.0F);
  write_npz(folder_ / "x.npz", {{"first", x}, {"second", x}});
  const auto refusal_for = [&](const std::string& key) {
    return refusal(ErrorKind::kInput,
                   [&] { open_caption_images(folder_ / "x.npz", {.key = key}); });
  };
  expect_contains(refusal_for(""), "expected one array of images, found \"first\", \"second\"");
  expect_contains(refusal_for("secnd"), "Did you mean \"second\"?");
}

TEST_F(ArrayOfCaptions, HasNoOtherRows) {
  write_npy(folder_ / "x.npy", at::full({3, 2}, 1.0F));
  const auto images = open_caption_images(folder_ / "x.npy", {});
  EXPECT_EQ(images->find(record_of("row", "2")), 2);
  for (const char* row : {"3", "-1", "1x", "", "99999999999999999999"}) {
    expect_contains(refusal(ErrorKind::kInput, [&] { images->find(record_of("row", row)); }),
                    "captions.jsonl: line 3: row: expected a number in 0..2, an image of " +
                        folder_.path().string());
  }
  expect_contains(refusal(ErrorKind::kInput, [&] { images->find(record_of("file", "a.png")); }),
                  "expected row to name an image");
}

TEST_F(ArrayOfCaptions, IsOfPixelsOrFiniteFeatures) {
  const auto bytes = at::full({2, 3, 4, 4}, 1, at::kByte);
  expect_contains(refusal_of(bytes), "expected uint8 [N, H, W, 3] pixels");
  expect_contains(refusal_of(bytes.to(at::kFloat)), "found Float [2, 3, 4, 4]");
  expect_contains(refusal_of(at::full({2, 3}, 1, at::kLong)), "found Long [2, 3]");
  expect_contains(refusal_of(at::full({0, 3}, 1.0F)), "found Float [0, 3]");
  auto features = at::full({1500, 2, 3}, 1.0F);
  features[1400][1][0] = std::numeric_limits<float>::quiet_NaN();
  expect_contains(refusal_of(features), "row 1400: expected finite features");
  expect_contains(refusal_of(at::full({2, 3}, 1e200, at::kDouble)), "row 0: expected finite");
}

TEST_F(ArrayOfCaptions, IsInAFileOfAKindThatIsKnown) {
  const auto refusal_of_path = [&](const fs::path& path) {
    return refusal(ErrorKind::kInput, [&] { open_caption_images(path, {}); });
  };
  expect_contains(refusal_of_path(folder_.write("x.tar", "")), "expected a folder of images, or");
  expect_contains(refusal_of_path(folder_ / "none"), "found nothing");
  expect_contains(refusal_of_path(folder_ / "none.npy"), "no such file");
}

}  // namespace
}  // namespace bitdiff
