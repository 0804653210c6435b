#include "bitdiff/io/caption_records.h"

#include <gtest/gtest.h>

#include "tests/support/temporary_folder.h"

namespace bitdiff {
namespace {

class CaptionRecords : public ::testing::Test {
 protected:
  std::vector<CaptionRecord> read(const std::string& text) const {
    return read_caption_records(folder_.write(file_, text), {.with_images = true});
  }

  std::string refusal_of(const std::string& text) const {
    auto what = refusal(ErrorKind::kInput, [&] { read(text); });
    expect_contains(what, file_);
    return what;
  }

  const TemporaryFolder folder_;
  std::string file_ = "captions.jsonl";
};

TEST_F(CaptionRecords, SayWhatTheyCallTheirImage) {
  const auto records = read(
      "{\"row\": 7, \"file\": \"a/b.jpg\", \"split\": \"train\", \"captions\": [\"x\", \"y\"]}\n"
      "\n"
      "{\"image_id\": \"5\", \"row\": \"3\", \"caption\": \"z\"}\n");
  ASSERT_EQ(records.size(), 2U);
  EXPECT_EQ(records[0].image.size(), 2U);
  EXPECT_EQ(records[0].image.at("row").text, "7");
  EXPECT_TRUE(records[0].image.at("row").number);
  EXPECT_EQ(records[0].image.at("file").text, "a/b.jpg");
  EXPECT_FALSE(records[0].image.at("file").number);
  EXPECT_EQ(records[0].split, "train");
  EXPECT_EQ(records[0].captions, (std::vector<std::string>{"x", "y"}));
  expect_contains(records[1].where, "captions.jsonl: line 3");
  EXPECT_FALSE(records[1].image.at("image_id").number);
  EXPECT_EQ(records[1].split, "");
}

TEST_F(CaptionRecords, OfCocoTakeTheirFilesFromTheImages) {
  file_ = "captions.json";
  const auto records = read(
      "{\"images\": [{\"id\": 5, \"file_name\": \"five.jpg\"}, {\"id\": 6}, {\"id\": \"7\","
      " \"file_name\": \"seven.jpg\"}], \"annotations\": ["
      "{\"image_id\": 7, \"caption\": \"a\"}, {\"image_id\": 5, \"caption\": \"b\"},"
      "{\"image_id\": 6, \"caption\": \"c\"}, {\"image_id\": 8, \"caption\": \"d\"},"
      "{\"image_id\": 5, \"file\": \"own.jpg\", \"caption\": \"e\"}]}");
  ASSERT_EQ(records.size(), 5U);
  EXPECT_EQ(records[0].image.at("file").text, "seven.jpg");
  EXPECT_EQ(records[1].image.at("file").text, "five.jpg");
  EXPECT_FALSE(records[2].image.contains("file"));
  EXPECT_FALSE(records[3].image.contains("file"));
  EXPECT_EQ(records[4].image.at("file").text, "own.jpg");
}

TEST_F(CaptionRecords, ThatSayWronglyWhereImagesAreAreRefused) {
  expect_contains(refusal_of("{\"row\": 1, \"split\": 3, \"caption\": \"a\"}"),
                  "line 1: split: expected a string, found 3");
  file_ = "captions.json";
  const auto coco = [](const std::string& images) {
    return "{\"images\": " + images + ", \"annotations\": [{\"row\": 0, \"caption\": \"a\"}]}";
  };
  EXPECT_EQ(read(coco("[]")).size(), 1U);
  expect_contains(refusal_of(coco("{}")), "images: expected a list");
  expect_contains(refusal_of(coco("[{\"id\": 1}, 3]")), "image 1: expected an object with id");
  expect_contains(refusal_of(coco("[{\"file_name\": \"a\"}]")), "image 0: expected an object");
  expect_contains(refusal_of(coco("[{\"id\": 1.5, \"file_name\": \"a\"}]")),
                  "id: expected a string or an integer, found 1.5");
  expect_contains(refusal_of(coco("[{\"id\": 1, \"file_name\": 3}]")),
                  "image 0: file_name: expected a string, found 3");
  expect_contains(refusal_of(coco("[{\"id\": 1, \"file_name\": \"a\"}, {\"id\": 1, \"file_name\":"
                                  " \"b\"}]")),
                  "image 1: a second image of id 1");
}

TEST_F(CaptionRecords, MayBeNestedAsDeepAsAnySensibleOne) {
  const auto nested = [](size_t depth, const std::string& inside) {
    return "{\"row\": 1, \"caption\": \"[\", \"more\": " + std::string(depth, '[') + inside +
           std::string(depth, ']') + "}\n";
  };
  EXPECT_EQ(read(nested(63, "")).size(), 1U);
  expect_contains(refusal_of(nested(64, "")), "line 1: JSON nested deeper than 64");
  // Brackets of strings are none, and an escaped quote or backslash is not what it looks like.
  EXPECT_EQ(read(nested(63, "\"[\", \"\\\"[\", \"\\\\\"")).size(), 1U);
  expect_contains(refusal_of(nested(63, "\"\\\\\", [], \"\"")), "nested deeper");
  EXPECT_EQ(read(nested(60, "[], [], [], {}, {}, [], []")).size(), 1U);
}

TEST_F(CaptionRecords, NeedNotSayWhereImagesAreToBeScored) {
  const auto path =
      folder_.write("captions.json",
                    "{\"images\": [{\"id\": 5, \"file_name\": \"five.jpg\"}, 3],"
                    " \"annotations\": [{\"image_id\": 5, \"split\": 3, \"caption\": \"a\"}]}");
  const auto records = read_caption_records(path);
  ASSERT_EQ(records.size(), 1U);
  EXPECT_EQ(records[0].split, "");
  EXPECT_FALSE(records[0].image.contains("file"));
}

TEST_F(CaptionRecords, AreReadBackAsWritten) {
  const ImageNames big = {{"file", {"a \"b\".jpg"}}, {"image_id", {"18446744073709551615", true}}};
  const auto line = caption_record_line(big, "line\nbreak");
  EXPECT_EQ(line,
            "{\"image_id\":18446744073709551615,\"file\":\"a \\\"b\\\".jpg\","
            "\"caption\":\"line\\nbreak\"}\n");
  const auto records = read(line + caption_record_line({{"row", {"07"}}}, "caf\xc3\xa9 \xff"));
  ASSERT_EQ(records.size(), 2U);
  EXPECT_EQ(records[0].image.at("image_id").text, "18446744073709551615");
  EXPECT_TRUE(records[0].image.at("image_id").number);
  EXPECT_EQ(records[0].image.at("file").text, "a \"b\".jpg");
  EXPECT_EQ(records[0].captions.front(), "line\nbreak");
  EXPECT_EQ(records[1].image.at("row").text, "07");
  EXPECT_FALSE(records[1].image.at("row").number);
  EXPECT_EQ(records[1].captions.front(), "caf\xc3\xa9 \xef\xbf\xbd");
}

}  // namespace
}  // namespace bitdiff
