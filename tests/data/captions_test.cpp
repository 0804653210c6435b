#include "bitdiff/data/captions.h"

#include <cstdlib>
#include <numeric>
#include <optional>
#include <set>

#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include "bitdiff/data/open.h"
#include "bitdiff/data/text.h"
#include "bitdiff/data/tokenizer.h"
#include "bitdiff/io/image.h"
#include "bitdiff/io/npz.h"
#include "tests/support/temporary_folder.h"

namespace bitdiff {
namespace {

namespace fs = std::filesystem;

Batch all_of(const Dataset& data) {
  std::vector<int64_t> indices(data.size());
  std::iota(indices.begin(), indices.end(), 0);
  return data.get(indices);
}

std::vector<std::string> texts_of(const Dataset& data) {
  const auto x = all_of(data).x;
  std::vector<std::string> texts;
  for (int64_t i = 0; i < x.size(0); ++i) texts.push_back(text_of(data.info().text, x[i]));
  return texts;
}

// Six images, whose pixels are their rows; two captions each: "image R, caption 0" and 1. Rows 0 to
// 3 are to train on, the others to test on.
class CaptionData : public ::testing::Test {
 protected:
  CaptionData() {
    write_npy(folder_ / "x.npy",
              at::arange(6).to(at::kByte).reshape({6, 1, 1, 1}).expand({6, 2, 4, 3}).contiguous());
    std::string records;
    for (int row = 0; row < 6; ++row) {
      records += str("{\"row\": ", row, ", \"split\": \"", row < 4 ? "train" : "test",
                     "\", \"captions\": [\"image ", row, ", caption 0\", \"image ", row,
                     ", caption 1\"]}\n");
    }
    options_.source = Source::kCaptions;
    options_.path = (folder_ / "x.npy").string();
    options_.captions = folder_.write("captions.jsonl", records).string();
    options_.tokenizer = "bytes";
    options_.length = 20;
  }

  const TemporaryFolder folder_;
  DataOptions options_;
};

TEST_F(CaptionData, AreTokensBesideTheImageTheyDescribe) {
  const auto data = open_dataset(options_);
  const auto& info = data->info();
  EXPECT_EQ(info.shape, (std::vector<int64_t>{1, 20}));
  EXPECT_EQ(info.categories, std::vector<int64_t>{256});
  EXPECT_EQ(info.image_shape, (std::vector<int64_t>{3, 2, 4}));
  EXPECT_EQ(info.classes, 0);
  EXPECT_TRUE(info.text.lines);
  EXPECT_EQ(info.text.cut, 0);
  EXPECT_EQ(info.missing, 0);
  ASSERT_EQ(data->size(), 12);

  const auto batch = data->get(std::vector<int64_t>{11, 0, 3, 3});
  EXPECT_EQ(batch.x.sizes(), IntArrayRef({4, 1, 20}));
  EXPECT_EQ(batch.x.scalar_type(), at::kByte);
  EXPECT_FALSE(batch.label.defined());
  EXPECT_EQ(batch.image.sizes(), IntArrayRef({4, 3, 2, 4}));
  const std::vector<std::string> texts = {"image 5, caption 1", "image 0, caption 0",
                                          "image 1, caption 1", "image 1, caption 1"};
  for (int64_t i = 0; i < 4; ++i) {
    EXPECT_EQ(text_of(info.text, batch.x[i]), texts[i]);
    EXPECT_TRUE(batch.image[i].eq(texts[i][6] - '0').all().item<bool>()) << texts[i];
  }
}

TEST_F(CaptionData, LoseTheirEndWhenTheyAreLong) {
  options_.length = 9;
  const auto data = open_dataset(options_);
  EXPECT_EQ(data->info().text.cut, 12);
  EXPECT_EQ(texts_of(*data).front(), "image 0,");
  EXPECT_EQ(data->get(std::vector<int64_t>{0}).x[0][0][8].item<int64_t>(), '\n');
}

TEST_F(CaptionData, CountTheCaptionsWhoseImagesAreMissing) {
  fs::create_directory(folder_ / "images");
  write_png(folder_ / "images/a.png", at::full({3, 6, 8}, 9, at::kByte));
  options_.path = (folder_ / "images").string();
  options_.size = 2;
  options_.captions = folder_
                          .write("files.jsonl",
                                 "{\"file\": \"a.png\", \"caption\": \"a\"}\n"
                                 "{\"file\": \"b.png\", \"captions\": [\"b\", \"c\"]}\n")
                          .string();
  const auto data = open_dataset(options_);
  EXPECT_EQ(data->info().missing, 2);
  EXPECT_EQ(texts_of(*data), std::vector<std::string>{"a"});
  EXPECT_TRUE(all_of(*data).image.equal(at::full({1, 3, 2, 2}, 9, at::kByte)));
}

TEST_F(CaptionData, AreHeldOutOfTheirOwnSplit) {
  options_.split = "train";
  options_.holdout_split = "test";
  options_.holdout = 3;
  const auto split = open_split(options_, 7);
  EXPECT_EQ(split.train->size(), 8) << "none is lost to the test";
  EXPECT_TRUE(all_of(*split.train).image.lt(4).all().item<bool>());
  const auto held_out = texts_of(*split.held_out);
  EXPECT_EQ(std::set<std::string>(held_out.begin(), held_out.end()).size(), 3U);
  EXPECT_TRUE(all_of(*split.held_out).image.ge(4).all().item<bool>());

  EXPECT_EQ(texts_of(*open_split(options_, 7).held_out), held_out);
  std::set<std::vector<std::string>> others;
  for (int64_t seed = 0; seed < 10; ++seed) {
    others.insert(texts_of(*open_split(options_, seed).held_out));
  }
  EXPECT_GT(others.size(), 1U) << "the seed changes nothing";

  options_.holdout = 4;
  EXPECT_EQ(open_split(options_, 7).held_out->size(), 4) << "all of them";
  options_.holdout = 5;
  expect_contains(refusal(ErrorKind::kUsage, [&] { open_split(options_, 7); }),
                  "holdout: expected a number in 0..4");
  options_.split = "";
  expect_contains(refusal(ErrorKind::kUsage, [&] { open_split(options_, 7); }),
                  "data.holdout_split = test: expected no image that is trained on, found row 4");
}

TEST_F(CaptionData, AreHeldOutOfAllWhereThereIsNoSplitForIt) {
  options_.holdout = 5;
  const auto split = open_split(options_, 7);
  auto texts = texts_of(*split.train);
  const auto held_out = texts_of(*split.held_out);
  EXPECT_EQ(held_out.size(), 5U);
  texts.insert(texts.end(), held_out.begin(), held_out.end());
  EXPECT_EQ(std::set<std::string>(texts.begin(), texts.end()).size(), 12U);
}

TEST_F(CaptionData, SayWhatIsWrong) {
  const auto refusal_of = [](const DataOptions& options) {
    return refusal(ErrorKind::kUsage, [&] { open_dataset(options); });
  };
  auto options = options_;
  options.captions = "";
  expect_contains(refusal_of(options), "data.captions: expected the file");
  options = options_;
  options.path = "";
  expect_contains(refusal_of(options), "data.path: expected");
  options = options_;
  options.labels = "folders";
  expect_contains(refusal_of(options), "data.labels: captions have none");
  options = options_;
  options.tokenizer = "";
  expect_contains(refusal_of(options), "data.tokenizer: expected");
  options = options_;
  options.flip = true;
  EXPECT_EQ(open_dataset(options)->size(), 12);
  write_npy(folder_ / "features.npy", at::full({6, 5}, 0.5F));
  options.path = (folder_ / "features.npy").string();
  expect_contains(refusal_of(options), "data.flip: features have no mirror image");
  options.flip = false;
  EXPECT_TRUE(all_of(*open_dataset(options)).image.equal(at::full({12, 1, 5}, 0.5F)));
}

class RealCaptions : public ::testing::Test {
 protected:
  // Options for NAME.npy and NAME.jsonl of the real data, or nothing when they are not here.
  static std::optional<DataOptions> options_for(const std::string& name) {
    const char* data = std::getenv("BITDIFF_DATA");
    const auto path = fs::path(data ? data : "") / name;
    if (!data || !fs::exists(path.string() + ".npy")) return {};
    DataOptions options;
    options.source = Source::kCaptions;
    options.path = path.string() + ".npy";
    options.captions = path.string() + ".jsonl";
    options.tokenizer = "bytes";
    options.length = 256;
    return options;
  }
};

TEST_F(RealCaptions, OfFlickr8kAreParted) {
  auto options = options_for("flickr8k/flickr8k_64");
  if (!options) GTEST_SKIP() << "BITDIFF_DATA names no folder with flickr8k/";
  options->split = "train";
  options->holdout_split = "test";
  options->holdout = 500;
  const auto split = open_split(*options, 0);
  EXPECT_EQ(split.train->size(), 30000);
  EXPECT_EQ(split.train->info().image_shape, (std::vector<int64_t>{3, 64, 64}));
  EXPECT_EQ(split.train->info().text.cut, 0);
  EXPECT_EQ(split.held_out->size(), 500);

  const auto source = open_caption_source(*options);
  EXPECT_EQ(source.split("dev").images.size(), 1000U);
  EXPECT_EQ(source.split("").images.size(), 8091U);
  const auto test = source.split("test");
  ASSERT_EQ(test.images.size(), 1000U);
  const auto& image = test.images.back();
  const auto row = std::stoll(image.names.at("row").text);
  const auto pixels = read_arrays(options->path).front().second[row].permute({2, 0, 1});
  EXPECT_TRUE(source.images()->get(std::vector{image.image})[0].equal(pixels));
}

TEST_F(RealCaptions, OfCocoAreRead) {
  const auto options = options_for("coco/coco_mini_64");
  if (!options) GTEST_SKIP() << "BITDIFF_DATA names no folder with coco/";
  const auto data = open_dataset(*options);
  EXPECT_EQ(data->size(), 1195);
  for (const auto& text : texts_of(*data)) {
    EXPECT_FALSE(text.empty() || text.starts_with(' ') || text.ends_with(' ')) << text;
  }
}

}  // namespace
}  // namespace bitdiff
