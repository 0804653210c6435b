#include "bitdiff/metrics/caption_words.h"

#include <gtest/gtest.h>

namespace bitdiff {
namespace {

std::string joined(const std::string& caption, CaptionTokenizer tokenizer) {
  std::string all;
  for (const auto& word : caption_words(caption, tokenizer)) all += (all.empty() ? "" : " ") + word;
  return all;
}

// What Stanford's PTBTokenizer and COCO's list of punctuation make of these.
TEST(PtbWords, AreThoseOfTheCocoScorer) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"A man, riding a wave.", "a man riding a wave"},
      {"The dog's ball isn't red!", "the dog 's ball is n't red"},
      {"It's a black-and-white photo...", "it 's a black-and-white photo"},
      {"They're \"happy\"; we'll see", "they 're happy we 'll see"},
      {"He cannot go", "he can not go"},
      {"A clock reads 11:44", "a clock reads 11:44"},
      {"the players' caps", "the players caps"},
      {"toilet,wash basin", "toilet wash basin"},
      {"A man (old) sits", "a man -lrb- old -rrb- sits"},
      {"number #41", "number # 41"},
      {"salt & pepper", "salt & pepper"},
      {"a U.S. flag", "a u.s. flag"},
      {"\u201cno\u201d it\u2019s", "no it 's"},
      {"", ""},
      {" . ", ""}};
  for (const auto& [caption, expected] : cases) {
    EXPECT_EQ(joined(caption, CaptionTokenizer::kPtb), expected) << caption;
  }
}

TEST(SimpleWords, AreLettersAndDigits) {
  EXPECT_EQ(joined("A dog's  Ball, isn't red: 11:44", CaptionTokenizer::kSimple),
            "a dog s ball isn t red 11 44");
}

TEST(NoTokenizer, SplitsAtWhiteSpaceAlone) {
  EXPECT_EQ(joined(" A dog's\tball ,", CaptionTokenizer::kNone), "A dog's ball ,");
}

}  // namespace
}  // namespace bitdiff
