#include "bitdiff/metrics/caption_files.h"

#include <cstdlib>

#include <gtest/gtest.h>

#include "tests/support/temporary_folder.h"

namespace bitdiff {
namespace {

namespace fs = std::filesystem;

class CaptionFiles : public ::testing::Test {
 protected:
  CaptionSet read() const {
    return read_captions(folder_ / candidates_, folder_ / "references.jsonl",
                         CaptionTokenizer::kNone);
  }

  std::string refusal_of(const std::string& text) const {
    folder_.write(candidates_, text);
    auto what = refusal(ErrorKind::kInput, [&] { read(); });
    expect_contains(what, candidates_);
    return what;
  }

  const TemporaryFolder folder_;
  std::string candidates_ = "candidates.json";
};

TEST_F(CaptionFiles, MayBeLinesOrResultsAndPairByTheImage) {
  folder_.write("references.jsonl",
                "{\"row\": 7, \"file\": \"b.jpg\", \"captions\": [\"b one\", \"b two\"]}\n\n"
                "{\"row\": 8, \"file\": \"a.jpg\", \"caption\": \"a one\"}\n"
                "{\"row\": 9, \"file\": \"c.jpg\", \"caption\": \"c\"}\r\n"
                "{\"row\": 8, \"file\": \"a.jpg\", \"caption\": \"a two three\"}\n");
  folder_.write(candidates_,
                "[{\"file\": \"a.jpg\", \"caption\": \"x\"},"
                " {\"file\": \"b.jpg\", \"caption\": \"y z\", \"score\": 1.5}]");
  const auto set = read();
  EXPECT_EQ(set.images, (std::vector<std::string>{"a.jpg", "b.jpg"}));
  EXPECT_EQ(set.pairs[0].references,
            (std::vector<CaptionWords>{{"a", "one"}, {"a", "two", "three"}}));
  EXPECT_EQ(set.pairs[1].candidate, (CaptionWords{"y", "z"}));
  EXPECT_EQ(set.references, 4);
  EXPECT_EQ(set.unscored, 1);
}

TEST_F(CaptionFiles, MayBeCocosAnnotations) {
  folder_.write("references.json",
                "{\"info\": {}, \"images\": [{\"id\": 5}], \"annotations\": ["
                "{\"image_id\": 5, \"id\": 1, \"caption\": \"a\"},"
                "{\"image_id\": 5, \"id\": 2, \"caption\": \"b\"}]}");
  folder_.write("candidates.jsonl", "{\"image_id\": 5, \"caption\": \"c\"}\n");
  const auto set = read_captions(folder_ / "candidates.jsonl", folder_ / "references.json",
                                 CaptionTokenizer::kNone);
  EXPECT_EQ(set.pairs.at(0).references, (std::vector<CaptionWords>{{"a"}, {"b"}}));
}

TEST_F(CaptionFiles, ThatAreMalformedSayWhere) {
  folder_.write("references.jsonl", "{\"image_id\": 1, \"caption\": \"a\"}\n");
  expect_contains(refusal_of("[{]"), "not JSON");
  expect_contains(refusal_of("{\"image_id\": 1, \"caption\": \"a\"}"), "expected a list");
  expect_contains(refusal_of("[]"), "expected captions, found none");
  expect_contains(refusal_of("[3]"), "record 0: expected an object, found 3");
  expect_contains(refusal_of("[{\"caption\": \"a\"}]"), "record 0: expected image_id");
  expect_contains(refusal_of("[{\"image_id\": 1.5, \"caption\": \"a\"}]"), "found 1.5");
  expect_contains(refusal_of("[{\"image_id\": 1}]"), "expected \"caption\"");
  expect_contains(refusal_of("[{\"image_id\": 1, \"caption\": 3}]"), "expected a string, found 3");
  expect_contains(refusal_of("[{\"image_id\": 1, \"captions\": [\"a\", \"b\"]}]"),
                  "image_id 1: expected one candidate, found 2");
  expect_contains(refusal_of("[{\"image_id\": 1, \"caption\": \"a\"}, {\"image_id\": 1,"
                             " \"caption\": \"b\"}]"),
                  "record 1: image_id 1: a second candidate");
  expect_contains(refusal_of("[{\"image_id\": 2, \"caption\": \"a\"}]"), "expected a reference in");
  expect_contains(refusal_of("[{\"row\": 2, \"caption\": \"a\"}]"), "found none that all have");
  expect_contains(refusal_of("[{\"image_id\": 1, \"caption\": \"\xff\"}]"), "not JSON");
  expect_contains(refusal_of(std::string(100000, '[')), "nested deeper");
  refusal(ErrorKind::kInput, [&] {
    read_captions(folder_ / "none.json", folder_ / "references.jsonl", CaptionTokenizer::kNone);
  });
}

TEST_F(CaptionFiles, ThatAreLinesNameTheLine) {
  candidates_ = "candidates.jsonl";
  folder_.write("references.jsonl", "{\"image_id\": 1, \"caption\": \"a\"}\n");
  expect_contains(refusal_of("\n{\"image_id\": 1, \"caption\": \"a\"}\n{\"image_id\""),
                  "line 3: not JSON");
}

TEST(CocoCaptions, AreRead) {
  const char* data = std::getenv("BITDIFF_DATA");
  const auto file = fs::path(data ? data : "") / "coco/captions_val2017.json";
  if (!data || !fs::exists(file)) GTEST_SKIP() << "BITDIFF_DATA names no folder with coco/";
  const TemporaryFolder folder;
  const auto candidates = folder.write("c.json", "[{\"image_id\": 139, \"caption\": \"a room\"}]");
  const auto set = read_captions(candidates, file, CaptionTokenizer::kPtb);
  EXPECT_EQ(set.references, 5);
  EXPECT_EQ(set.unscored, 4999);
}

}  // namespace
}  // namespace bitdiff
