#include "bitdiff/data/caption_source.h"

#include <cstdlib>

#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include "bitdiff/io/image.h"
#include "bitdiff/io/npz.h"
#include "tests/support/temporary_folder.h"

namespace bitdiff {
namespace {

namespace fs = std::filesystem;

using Lines = std::vector<std::string>;

class CaptionSources : public ::testing::Test {
 protected:
  CaptionSources() {
    write_npy(folder_ / "x.npy", at::full({4, 2, 2, 3}, 1, at::kByte));
    fs::create_directory(folder_ / "images");
    write_png(folder_ / "images/a.png", at::full({3, 2, 2}, 1, at::kByte));
  }

  CaptionSource open(const std::string& records, const char* images = "x.npy") const {
    return CaptionSource(
        {.images = folder_ / images, .captions = folder_.write("captions.jsonl", records)});
  }

  const TemporaryFolder folder_;
};

TEST_F(CaptionSources, HaveEachImageOnceWithItsCaptions) {
  const auto source = open(
      "{\"row\": 2, \"image_id\": 70, \"caption\": \"two\"}\n"
      "{\"row\": 0, \"caption\": \"zero\"}\n"
      "{\"row\": 2, \"image_id\": 71, \"captions\": [\"deux\", \"zwei\"]}\n");
  const auto all = source.split("");
  ASSERT_EQ(all.images.size(), 2U);
  EXPECT_EQ(all.missing, 0);
  EXPECT_EQ(all.images[0].image, 2);
  EXPECT_EQ(all.images[0].captions, (Lines{"two", "deux", "zwei"}));
  EXPECT_EQ(all.images[0].names.at("image_id").text, "70");
  EXPECT_EQ(all.images[0].names.at("row").text, "2");
  EXPECT_EQ(all.images[1].image, 0);
  EXPECT_EQ(source.images()->shape(), (std::vector<int64_t>{3, 2, 2}));
}

TEST_F(CaptionSources, MakeACaptionOneLine) {
  const auto all =
      open(
          "{\"row\": 1, \"captions\": [\" a dog\\nruns\\r\\nfast\\rnow \\n\", \" \\n\\t\","
          " \"\", \"caf\\u00e9\"]}\n"
          "{\"row\": 3, \"caption\": \"\\r\\n\"}\n")
          .split("");
  ASSERT_EQ(all.images.size(), 1U) << "one without captions is left out";
  EXPECT_EQ(all.images[0].captions, (Lines{"a dog runs fast now", "caf\xc3\xa9"}));
  expect_contains(
      refusal(ErrorKind::kInput, [&] { open("{\"row\": 1, \"caption\": \"a\\u0000b\"}\n"); }),
      "captions.jsonl: line 1: a caption: expected text, found a zero byte");
}

TEST_F(CaptionSources, PartTheRecordsBySplit) {
  const auto source = open(
      "{\"row\": 0, \"split\": \"train\", \"caption\": \"a\"}\n"
      "{\"row\": 1, \"split\": \"test\", \"caption\": \"b\"}\n"
      "{\"row\": 0, \"split\": \"test\", \"caption\": \"c\"}\n"
      "{\"row\": 3, \"caption\": \"d\"}\n");
  const auto train = source.split("train"), test = source.split("test"), all = source.split("");
  ASSERT_EQ(train.images.size(), 1U);
  EXPECT_EQ(train.images[0].captions, Lines{"a"});
  ASSERT_EQ(test.images.size(), 2U);
  EXPECT_EQ(test.images[1].captions, Lines{"c"});
  ASSERT_EQ(all.images.size(), 3U);
  EXPECT_EQ(all.images[0].captions, (Lines{"a", "c"}));
  expect_contains(refusal(ErrorKind::kInput, [&] { source.split("tests"); }),
                  "expected captions of the split \"tests\", found none; its records are of test,"
                  " train");
  expect_contains(refusal(ErrorKind::kUsage, [&] { refuse_shared_images("here", train, test); }),
                  "here: expected no image that is trained on, found row 0");
  EXPECT_NO_THROW(refuse_shared_images("here", train, {.images = {test.images[0]}}));
}

TEST_F(CaptionSources, CountTheCaptionsOfMissingFiles) {
  const auto source = open(
      "{\"file\": \"a.png\", \"split\": \"train\", \"caption\": \"a\"}\n"
      "{\"file\": \"b.png\", \"split\": \"train\", \"captions\": [\"b\", \"\", \"c\"]}\n"
      "{\"file\": \"c.png\", \"split\": \"test\", \"caption\": \"d\"}\n",
      "images");
  EXPECT_EQ(source.split("train").missing, 2);
  EXPECT_EQ(source.split("").missing, 3);
  EXPECT_EQ(source.split("").images.size(), 1U);
  expect_contains(refusal(ErrorKind::kInput, [&] { source.split("test"); }),
                  "expected images for the captions of the split \"test\" in");
}

TEST_F(CaptionSources, RefuseWhatIsWrongInAnySplit) {
  expect_contains(refusal(ErrorKind::kInput,
                          [&] {
                            open(
                                "{\"row\": 0, \"split\": \"train\", \"caption\": \"a\"}\n"
                                "{\"row\": 4, \"split\": \"test\", \"caption\": \"b\"}\n");
                          }),
                  "line 2: row: expected a number in 0..3");
  expect_contains(
      refusal(ErrorKind::kInput,
              [&] { open("{\"file\": \"../x.npy\", \"caption\": \"a\"}\n", "images"); }),
      "line 1: file \"../x.npy\": expected a path below");
  expect_contains(
      refusal(ErrorKind::kInput, [&] { open("{\"row\": 0, \"caption\": \" \"}\n").split(""); }),
      "expected captions, found none; its records are of no split");
}

TEST(CocoCaptionSource, FindsTheFilesOfTheAnnotations) {
  const char* data = std::getenv("BITDIFF_DATA");
  const auto file = fs::path(data ? data : "") / "coco/captions_val2017.json";
  if (!data || !fs::exists(file)) GTEST_SKIP() << "BITDIFF_DATA names no folder with coco/";
  const TemporaryFolder folder;
  write_png(folder / "000000000139.jpg", at::full({3, 4, 4}, 1, at::kByte));
  write_png(folder / "000000397133.jpg", at::full({3, 4, 4}, 2, at::kByte));
  const CaptionSource source({.images = folder.path(), .captions = file, .as = {.size = 2}});
  const auto all = source.split("");
  ASSERT_EQ(all.images.size(), 2U);
  int64_t captions = all.missing;
  for (const auto& image : all.images) {
    const int64_t pixel = image.names.at("image_id").text == "139" ? 1 : 2;
    EXPECT_TRUE(source.images()->get(std::vector{image.image}).eq(pixel).all().item<bool>());
    EXPECT_EQ(image.captions.size(), 5U);
    captions += static_cast<int64_t>(image.captions.size());
  }
  EXPECT_EQ(captions, 25014);
}

}  // namespace
}  // namespace bitdiff
